import { createHash } from 'node:crypto';
import { type Backoff, backoff, type Clock, type Logger, silentLogger, sleep, systemClock } from '@sluice/runtime';
import type { KubeClient } from './client.ts';
import { isAlreadyExists, isForbidden, isNotFound, KubeError } from './error.ts';
import { EventSpam, setBounded } from './event-spam.ts';
import { isRecord } from './field.ts';
import { resources } from './resource.ts';

/** The object that an event is about. */
export interface ObjectReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
  readonly uid?: string;
}

export interface RecordedEvent {
  readonly object: ObjectReference;
  readonly type: 'Normal' | 'Warning';
  /** One word in CamelCase, for machines. */
  readonly reason: string;
  readonly message: string;
}

export interface EventRecorderOptions {
  readonly client: KubeClient;
  /** `sluice-agent`. */
  readonly component: string;
  /** The node that we run on. */
  readonly host: string;
  readonly log?: Logger;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/**
 * Writes Kubernetes events in the background. Never in the way: what is too much is dropped and counted. The same event
 * again raises the count of the one that is there, also of an earlier process. While the API server is away events wait.
 */
export interface EventRecorder {
  record(event: RecordedEvent): void;
  /** For who can wait: false when there are too many now; it does not count as dropped. */
  offer(event: RecordedEvent): boolean;
  /** Events that nobody will see, because there were too many or the server would not take them. */
  readonly dropped: number;
  /** Why the server would not take one lately: we lack the right. */
  readonly problem: string | undefined;
  /** Resolves when nothing waits any more. */
  flush(): Promise<void>;
  /** Forgets what waits. */
  stop(): Promise<void>;
}

export function eventRecorder(options: EventRecorderOptions): EventRecorder {
  return new Recorder(options);
}

const knownEventsMax = 1_024;
const waitingMax = 500;
const messageMax = 1_024;
/** An event that nobody took for so long: the API server would have forgotten it by now. */
const waitingMsMax = 3_600_000;
/** A right that we lacked longer ago may have been given since, and there was nothing to write. */
const latelyMs = 600_000;

/** Occurrences of one event that the API server has not been told of. */
interface Waiting {
  readonly sinceMs: number;
  readonly firstAt: number;
  event: RecordedEvent;
  count: number;
  lastAt: number;
}

class Recorder implements EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #spam: EventSpam;
  readonly #delays: Backoff;
  /** By key, in the order in which they will be written. */
  readonly #waiting = new Map<string, Waiting>();
  /** Key to the count that the API server has. */
  readonly #written = new Map<string, number>();
  readonly #aborter = new AbortController();
  #running: Promise<void> | undefined;
  #dropped = 0;
  #refusal: { readonly text: string; readonly atMs: number } | undefined;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLogger;
    this.#spam = new EventSpam(this.#clock);
    this.#delays = backoff({ minMs: 1_000, maxMs: 60_000, ...(options.random && { random: options.random }) });
  }

  get dropped(): number {
    return this.#dropped;
  }

  get problem(): string | undefined {
    const refusal = this.#refusal;
    return refusal && this.#nowMs() - refusal.atMs < latelyMs ? refusal.text : undefined;
  }

  record(event: RecordedEvent): void {
    if (!this.offer(event)) this.#dropped++;
  }

  offer(event: RecordedEvent): boolean {
    const admitted = this.#aborter.signal.aborted ? undefined : this.#spam.admit(event);
    if (!admitted || !this.#wait(admitted.key, admitted.event)) return false;
    this.#running ??= this.#drain();
    return true;
  }

  async flush(): Promise<void> {
    await this.#running;
  }

  async stop(): Promise<void> {
    this.#aborter.abort();
    await this.#running;
    for (const { count } of this.#waiting.values()) this.#dropped += count;
    this.#waiting.clear();
  }

  #wait(key: string, { message, ...rest }: RecordedEvent): boolean {
    const event = { ...rest, message: message.slice(0, messageMax) };
    const at = this.#clock.now();
    const same = this.#waiting.get(key);
    if (same) Object.assign(same, { event, count: same.count + 1, lastAt: at });
    else if (this.#waiting.size < waitingMax)
      this.#waiting.set(key, { sinceMs: this.#nowMs(), firstAt: at, event, count: 1, lastAt: at });
    else return false;
    return true;
  }

  async #drain(): Promise<void> {
    // Whoever records several in one go finds the first of them still waiting, and equal ones become one.
    await Promise.resolve();
    while (this.#waiting.size > 0 && !this.#aborter.signal.aborted) await this.#writeEach();
    this.#running = undefined;
  }

  async #writeEach(): Promise<void> {
    const { signal } = this.#aborter;
    for (const [key, waiting] of this.#waiting) {
      const { count } = waiting;
      try {
        await this.#write(key, { ...waiting });
        this.#delays.reset();
        this.#refusal = undefined;
        this.#settle(key, waiting, count);
      } catch (error) {
        if (signal.aborted) return;
        await this.#fail(key, waiting, error);
      }
    }
  }

  // What came while it was written waits for its next turn.
  #settle(key: string, waiting: Waiting, count: number): void {
    waiting.count -= count;
    if (waiting.count === 0) this.#waiting.delete(key);
  }

  /** What the API server refuses stays refused; anything else is tried again after a pause. */
  async #fail(key: string, waiting: Waiting, error: unknown): Promise<void> {
    const { status, retryAfterMs = 0 } = error instanceof KubeError ? error : { status: 0 };
    const isRefused = status >= 400 && status < 500 && ![404, 408, 409, 429].includes(status);
    const isOld = this.#nowMs() - waiting.sinceMs >= waitingMsMax;
    this.#log.debug({ error, reason: waiting.event.reason }, 'event was not written');
    // In a namespace that is on its way out nobody may write.
    if (isForbidden(error) && error instanceof Error && !error.message.includes('being terminated'))
      this.#refusal = { text: error.message, atMs: this.#nowMs() };
    if (isRefused || isOld) {
      this.#waiting.delete(key);
      this.#dropped += waiting.count;
      return;
    }
    await sleep(this.#clock, retryAfterMs + this.#delays.next(), this.#aborter.signal);
  }

  /** Raises the count of what is there, be it from an earlier process of ours, or writes the first one. */
  async #write(key: string, waiting: Waiting): Promise<void> {
    const { client } = this.#options;
    const { signal } = this.#aborter;
    const name = this.#nameOf(key, waiting.event);
    const known = this.#written.get(key);
    if (known !== undefined && (await this.#raise(name, key, waiting, known))) return;
    const object = this.#object(name, waiting);
    try {
      await client.create(resources.events, object, { namespace: name.namespace, signal });
      setBounded(this.#written, key, waiting.count, knownEventsMax);
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      const count = countOf(await client.get(resources.events, { ...name, signal }));
      await this.#raise(name, key, waiting, count);
    }
  }

  /** False when the event is no longer there: they live for an hour only. */
  async #raise(name: EventName, key: string, { event, count, lastAt }: Waiting, before: number): Promise<boolean> {
    const patch = { count: before + count, lastTimestamp: timeText(lastAt), message: event.message };
    try {
      await this.#options.client.patch(resources.events, { ...name, patch, signal: this.#aborter.signal });
      setBounded(this.#written, key, before + count, knownEventsMax);
      return true;
    } catch (error) {
      if (!isNotFound(error)) throw error;
      this.#written.delete(key);
      return false;
    }
  }

  #nameOf(key: string, { object }: RecordedEvent): EventName {
    const { component, host } = this.#options;
    const who = createHash('sha256').update(`${component}\n${host}`).digest('hex').slice(0, 8);
    return { namespace: object.namespace || 'default', name: `${object.name.slice(0, 200)}.${key}${who}` };
  }

  #object(name: EventName, { event, count, firstAt, lastAt }: Waiting) {
    const { component, host } = this.#options;
    const { object, type, reason, message } = event;
    return {
      metadata: name,
      involvedObject: object,
      type,
      reason,
      message,
      count,
      firstTimestamp: timeText(firstAt),
      lastTimestamp: timeText(lastAt),
      source: { component, host },
      reportingComponent: component,
      reportingInstance: host,
    };
  }

  #nowMs(): number {
    return Number(this.#clock.monotonicNs() / 1_000_000n);
  }
}

interface EventName {
  readonly namespace: string;
  readonly name: string;
}

function countOf(event: unknown): number {
  const count = isRecord(event) ? event.count : undefined;
  return typeof count === 'number' ? count : 1;
}

function timeText(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
