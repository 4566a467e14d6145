import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readFileIfPresent, writeFileAtomic } from '@sluice/runtime';
import type { Container, ContainerState, ContainerStatus } from '../apiserver/index.ts';
import { messageOf } from '../error.ts';
import { endProcess, isRunning } from '../host/process-id.ts';
import { adoptContainer, type ContainerProcess, type Exit } from './container-process.ts';
import type { ContainerRecord, Sandbox } from './sandbox.ts';

export interface ContainerHooks {
  /** Starts the process, or says why it cannot be. */
  start(logFile: string): ContainerProcess | { readonly problem: string };
  /** Something that the pod's status shows has changed. */
  changed(): void;
  event(type: 'Normal' | 'Warning', reason: string, message: string): void;
}

export interface ContainerRunnerOptions {
  readonly spec: Container;
  readonly sandbox: Sandbox;
  readonly restartPolicy: string;
  /** What its status said before this daemon, or before its node was started again. */
  readonly previous: ContainerStatus | undefined;
  readonly hooks: ContainerHooks;
}

// A real kubelet begins with 10 s and goes to 5 min; in a lab people wait for it.
const restartMs = { first: 250, most: 10_000, forgottenAfter: 30_000 };

/** Keeps one container running as its pod's restart policy wants. */
export class ContainerRunner {
  readonly spec: Container;
  readonly #sandbox: Sandbox;
  readonly #restartPolicy: string;
  readonly #hooks: ContainerHooks;
  readonly #previous: ContainerStatus | undefined;
  #state: ContainerState = { waiting: { reason: 'ContainerCreating' } };
  #lastState: ContainerState = {};
  #restartCount = 0;
  #process: ContainerProcess | undefined;
  #ready = false;

  constructor(options: ContainerRunnerOptions) {
    this.spec = options.spec;
    this.#previous = options.previous;
    this.#sandbox = options.sandbox;
    this.#restartPolicy = options.restartPolicy;
    this.#hooks = options.hooks;
  }

  get status(): ContainerStatus {
    const { name, image } = this.spec;
    return {
      name,
      image,
      imageID: image,
      containerID: `lab://${this.#sandbox.id}-${name}-${this.#restartCount}`,
      ready: this.isRunning && (this.#ready || !this.spec.readinessProbe),
      started: this.isRunning,
      restartCount: this.#restartCount,
      state: this.#state,
      lastState: this.#lastState,
    };
  }

  get isRunning(): boolean {
    return this.#state.running !== undefined;
  }

  /** Ended for good, with this status. */
  get finalExitCode(): number | undefined {
    const code = this.#state.terminated?.exitCode;
    return code === undefined || this.#restarts(code) ? undefined : code;
  }

  get processId(): number | undefined {
    return this.isRunning ? this.#process?.id.pid : undefined;
  }

  logFile(previous = false): string {
    const number = previous ? this.#restartCount - 1 : this.#restartCount;
    return join(this.#sandbox.directory, 'logs', `${this.spec.name}-${number}.log`);
  }

  setReady(ready: boolean): void {
    if (this.#ready === ready) return;
    this.#ready = ready;
    this.#hooks.changed();
  }

  /** Starts it, and again when it ends, until the signal says stop. */
  async run(signal: AbortSignal): Promise<void> {
    let backoffMs = restartMs.first;
    for (let first = true; !signal.aborted; first = false) {
      const began = Date.now();
      const adopted = first ? this.#adopt() : undefined;
      const exit = adopted ? await this.#follow(adopted.process, signal, adopted.startedAt) : await this.#once(signal);
      if (signal.aborted || (exit && !this.#restarts(exit.exitCode))) return;
      if (Date.now() - began > restartMs.forgottenAfter) backoffMs = restartMs.first;
      if (exit) this.#backOff(backoffMs);
      await delay(backoffMs, undefined, { signal }).catch(() => undefined);
      backoffMs = Math.min(2 * backoffMs, restartMs.most);
      if (exit) this.#restartCount++;
    }
  }

  /** Asks the process to end and kills it after the grace. */
  async stop(graceMs: number): Promise<void> {
    if (this.#process && isRunning(this.#process.id)) {
      this.#hooks.event('Normal', 'Killing', `Stopping container ${this.spec.name}`);
      await endProcess(this.#process.id, graceMs);
    }
  }

  async #once(signal: AbortSignal): Promise<Exit | undefined> {
    const started = this.#tryToStart();
    if ('problem' in started) {
      const { waiting } = this.#state;
      if (waiting?.message !== started.problem) this.#hooks.event('Warning', 'Failed', started.problem);
      this.#set({ waiting: { reason: 'CreateContainerError', message: started.problem } });
      return undefined;
    }
    this.#hooks.event('Normal', 'Started', `Started container ${this.spec.name}`);
    return this.#follow(started, signal);
  }

  #tryToStart(): ContainerProcess | { readonly problem: string } {
    try {
      return this.#hooks.start(this.logFile());
    } catch (error) {
      return { problem: messageOf(error) };
    }
  }

  async #follow(started: ContainerProcess, signal: AbortSignal, startedAt = new Date().toISOString()): Promise<Exit> {
    this.#process = started;
    const record: ContainerRecord = { process: started.id, restartCount: this.#restartCount, startedAt };
    writeFileAtomic(this.#recordFile, JSON.stringify(record));
    this.#set({ running: { startedAt: seconds(startedAt) } });
    const exit = await started.exit;
    this.#ready = false;
    const terminated = {
      ...exit,
      reason: exit.exitCode === 0 ? 'Completed' : 'Error',
      startedAt: seconds(startedAt),
      finishedAt: seconds(new Date().toISOString()),
    };
    if (!signal.aborted || !this.#restarts(exit.exitCode)) this.#set({ terminated });
    return exit;
  }

  #adopt(): { process: ContainerProcess; startedAt: string } | undefined {
    const text = readFileIfPresent(this.#recordFile);
    if (!text) {
      this.#succeedPrevious();
      return undefined;
    }
    const record: ContainerRecord = JSON.parse(text);
    this.#restartCount = record.restartCount;
    if (record.process && isRunning(record.process)) {
      // Holds for a process that still runs, until its probe says otherwise.
      this.#ready = this.#previous?.ready ?? false;
      return { process: adoptContainer(record.process), startedAt: record.startedAt };
    }
    this.#restartCount++;
    return undefined;
  }

  /** What ran in an earlier sandbox, such as before its node lost its power, has ended: how, nobody knows. */
  #succeedPrevious(): void {
    const running = this.#previous?.state?.running;
    this.#restartCount = (this.#previous?.restartCount ?? 0) + (running ? 1 : 0);
    if (!running) return;
    const finishedAt = seconds(new Date().toISOString());
    this.#lastState = { terminated: { exitCode: 255, signal: 0, reason: 'Unknown', ...running, finishedAt } };
  }

  #backOff(ms: number): void {
    this.#lastState = this.#state;
    if (ms <= restartMs.first) return; // started again at once
    const message = `back-off ${ms} ms restarting container ${this.spec.name}`;
    this.#set({ waiting: { reason: 'CrashLoopBackOff', message } });
    this.#hooks.event('Warning', 'BackOff', message);
  }

  #restarts(exitCode: number): boolean {
    return this.#restartPolicy === 'Always' || (this.#restartPolicy === 'OnFailure' && exitCode !== 0);
  }

  #set(state: ContainerState): void {
    this.#state = state;
    this.#hooks.changed();
  }

  get #recordFile(): string {
    return join(this.#sandbox.directory, `container-${this.spec.name}.json`);
  }
}

/** The API's times have no fractions. */
function seconds(time: string): string {
  return time.replace(/\.\d+Z$/, 'Z');
}
