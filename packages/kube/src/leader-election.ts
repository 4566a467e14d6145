import { type Clock, type Logger, silentLogger, sleep, systemClock } from '@sluice/runtime';
import type { KubeClient } from './client.ts';
import { isAlreadyExists, isConflict, isNotFound } from './error.ts';
import { isRecord } from './field.ts';
import { type LeaseObject, parseLease } from './objects/lease.ts';
import { resources } from './resource.ts';

export interface LeaderElectionOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly name: string;
  /** Ours alone: pod name and a random part. */
  readonly identity: string;
  /** The signal is aborted when leadership is lost: whatever it started must end before the lease runs out. */
  readonly onStartedLeading: (signal: AbortSignal) => void | Promise<void>;
  readonly onStoppedLeading?: () => void;
  readonly onNewLeader?: (identity: string) => void;
  /** What the leader says on the Lease, told anew with each renewal; undefined: taken away. */
  readonly annotations?: () => Readonly<Record<string, string | undefined>>;
  /** For how long others leave us alone after a renewal; default 15 s. */
  readonly leaseMs?: number;
  /** Without a renewal for so long we step down by ourselves; less than the lease; default 10 s. */
  readonly renewDeadlineMs?: number;
  /** Between attempts; default 2 s, with up to a fifth more at random. */
  readonly retryMs?: number;
  readonly log?: Logger;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/** Competes for a Lease. Fits `lifecycle().add()`. */
export interface LeaderElection extends AsyncDisposable {
  readonly name: string;
  readonly isLeader: boolean;
  /** Who leads as far as we saw; empty: nobody. */
  readonly leader: string;
  /** Why the Lease could not be read or written, the last time; undefined: it could. */
  readonly problem: string | undefined;
  start(): void;
  /** Steps down and gives the lease back, so that the next one need not wait for it to run out. */
  stop(): Promise<void>;
}

export function leaderElection(options: LeaderElectionOptions): LeaderElection {
  return new Election(options);
}

interface Observed {
  readonly lease: LeaseObject;
  /** The whole object, whose other fields an update must keep. */
  readonly object: Readonly<Record<string, unknown>>;
}

/** At least so long to give it back: whoever retries often is not done sooner. */
const giveBackMs = 2_000;

class Election implements LeaderElection {
  readonly name: string;
  readonly #options: LeaderElectionOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #leaseMs: number;
  readonly #renewDeadlineMs: number;
  readonly #retryMs: number;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #observed: Observed | undefined;
  // When *we* saw the lease change: clocks of different machines are never compared.
  #observedAtMs = 0;
  #renewedAtMs = 0;
  #leading: AbortController | undefined;
  #leader = '';
  problem: string | undefined;

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
    this.name = `leader-election-${options.name}`;
    this.#clock = options.clock ?? systemClock;
    this.#log = (options.log ?? silentLogger).child({ lease: `${options.namespace}/${options.name}` });
    this.#leaseMs = options.leaseMs ?? 15_000;
    this.#renewDeadlineMs = options.renewDeadlineMs ?? 10_000;
    this.#retryMs = options.retryMs ?? 2_000;
    if (this.#leaseMs <= this.#renewDeadlineMs) throw new RangeError('leaseMs must be longer than renewDeadlineMs');
    if (this.#renewDeadlineMs <= this.#retryMs * 1.2)
      throw new RangeError('renewDeadlineMs must be longer than retryMs');
  }

  get isLeader(): boolean {
    return this.#leading !== undefined;
  }

  get leader(): string {
    return this.#leader;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    const wasLeader = this.isLeader;
    this.#stepDown('stopping');
    if (wasLeader) await this.#release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const random = this.#options.random ?? Math.random;
    while (!signal.aborted) {
      const held = await this.#tryAcquireOrRenew();
      if (signal.aborted) return;
      if (held) this.#renewed();
      else if (this.isLeader) this.#stepDownIfOverdue();
      await this.#pause(this.#retryMs * (1 + 0.2 * random()));
    }
  }

  // Never sleeps past the moment at which a leader must have stepped down.
  async #pause(delayMs: number): Promise<void> {
    const leftMs = this.isLeader ? this.#renewedAtMs + this.#renewDeadlineMs - this.#nowMs() : delayMs;
    await sleep(this.#clock, Math.max(0, Math.min(delayMs, leftMs)), this.#stopping.signal);
  }

  #renewed(): void {
    if (this.#leading) return;
    const leading = new AbortController();
    this.#leading = leading;
    this.#log.info({ identity: this.#options.identity }, 'became leader');
    Promise.resolve(this.#options.onStartedLeading(leading.signal)).catch((error: unknown) => {
      this.#log.error({ error }, 'what the leader does failed');
    });
  }

  #stepDownIfOverdue(): void {
    if (this.#leader !== this.#options.identity) this.#stepDown(`${this.#leader || 'nobody'} holds the lease`);
    else if (this.#nowMs() - this.#renewedAtMs >= this.#renewDeadlineMs) this.#stepDown('could not renew in time');
  }

  #stepDown(reason: string): void {
    if (!this.#leading) return;
    if (this.#stopping.signal.aborted) this.#log.info({ reason }, 'no longer leader');
    else this.#log.warn({ reason }, 'no longer leader');
    this.#leading.abort();
    this.#leading = undefined;
    this.#options.onStoppedLeading?.();
  }

  /** True when the lease is ours as of now. */
  async #tryAcquireOrRenew(): Promise<boolean> {
    const deadline = new AbortController();
    const timer = this.#clock.setTimeout(() => deadline.abort(), this.#requestMs());
    const signal = AbortSignal.any([deadline.signal, this.#stopping.signal]);
    // The lease counts from before the request: by the time the answer is here, part of it is gone.
    const beganMs = this.#nowMs();
    try {
      const observed = await this.#read(signal);
      if (observed && !this.#mayTake(observed.lease)) {
        this.problem = undefined;
        return false;
      }
      this.#observe(await this.#write(observed, signal));
      this.#renewedAtMs = beganMs;
      this.problem = undefined;
      return true;
    } catch (error) {
      if (isConflict(error) || isAlreadyExists(error)) this.#log.debug('another one was faster');
      else if (!this.#stopping.signal.aborted) {
        this.problem = error instanceof Error ? error.message : String(error);
        this.#log.warn({ error }, 'cannot reach the lease');
      }
      return false;
    } finally {
      timer.cancel();
    }
  }

  #requestMs(): number {
    if (!this.isLeader) return this.#renewDeadlineMs;
    return Math.max(1, this.#renewedAtMs + this.#renewDeadlineMs - this.#nowMs());
  }

  async #read(signal: AbortSignal): Promise<Observed | undefined> {
    const { client, namespace, name } = this.#options;
    try {
      this.#observe(await client.get(resources.leases, { namespace, name, signal }));
      return this.#observed;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  #observe(object: unknown): void {
    const lease = parseLease(object);
    const before = this.#observed?.lease;
    const changed = before?.resourceVersion !== lease.resourceVersion;
    if (changed) this.#observedAtMs = this.#nowMs();
    this.#observed = { lease, object: isRecord(object) ? object : {} };
    if (lease.holder === this.#leader) return;
    this.#leader = lease.holder;
    this.#options.onNewLeader?.(lease.holder);
  }

  #mayTake({ holder, durationSeconds }: LeaseObject): boolean {
    if (holder === '' || holder === this.#options.identity) return true;
    return this.#nowMs() >= this.#observedAtMs + durationSeconds * 1000;
  }

  #write(observed: Observed | undefined, signal: AbortSignal): Promise<unknown> {
    const { client, namespace, name, identity } = this.#options;
    if (!observed) {
      const spec = this.#spec(undefined);
      const metadata = this.#metadata({ namespace, name }, this.#annotations());
      return client.create(resources.leases, { metadata, spec }, { namespace, signal });
    }
    const held = observed.lease.holder === identity ? observed.lease : undefined;
    const transitions = observed.lease.transitions + (held ? 0 : 1);
    const spec = { ...this.#spec(held?.acquiredAt), leaseTransitions: transitions };
    const metadata = this.#metadata(observed.object.metadata, this.#annotations());
    return client.update(resources.leases, { ...observed.object, metadata, spec }, { namespace, name, signal });
  }

  #annotations(): Readonly<Record<string, string | undefined>> {
    return this.#options.annotations?.() ?? {};
  }

  /** With what others have written there. */
  #metadata(before: unknown, ours: Readonly<Record<string, string | undefined>>) {
    const metadata = isRecord(before) ? before : {};
    if (Object.keys(ours).length === 0) return metadata;
    // JSON has no undefined: what is to go is left out.
    return { ...metadata, annotations: { ...(isRecord(metadata.annotations) ? metadata.annotations : {}), ...ours } };
  }

  #spec(acquiredAt: number | undefined) {
    const nowAt = this.#clock.now();
    return {
      holderIdentity: this.#options.identity,
      leaseDurationSeconds: Math.ceil(this.#leaseMs / 1000),
      acquireTime: microTime(acquiredAt ?? nowAt),
      renewTime: microTime(nowAt),
      leaseTransitions: 0,
    };
  }

  async #release(): Promise<void> {
    const deadline = new AbortController();
    const timer = this.#clock.setTimeout(() => deadline.abort(), Math.max(this.#retryMs, giveBackMs));
    try {
      if (await this.#giveBack(deadline.signal)) this.#log.info('gave the lease back');
    } catch (error) {
      this.#log.warn({ error }, 'could not give the lease back; it runs out by itself');
    } finally {
      timer.cancel();
    }
  }

  /** A renewal that was broken off may have reached the server, or reach it now. False: somebody else has the lease. */
  async #giveBack(signal: AbortSignal): Promise<boolean> {
    const { client, namespace, name, identity } = this.#options;
    const observed = await this.#read(signal);
    if (observed?.lease.holder !== identity) return false;
    const none = Object.fromEntries(Object.keys(this.#annotations()).map((key) => [key, undefined]));
    const metadata = this.#metadata(observed.object.metadata, none);
    const spec = { ...this.#spec(undefined), holderIdentity: '', leaseDurationSeconds: 1 };
    const released = { ...spec, leaseTransitions: observed.lease.transitions };
    const object = { ...observed.object, metadata, spec: released };
    try {
      await client.update(resources.leases, object, { namespace, name, signal });
      return true;
    } catch (error) {
      if (isConflict(error)) return this.#giveBack(signal);
      throw error;
    }
  }

  #nowMs(): number {
    return Number(this.#clock.monotonicNs() / 1_000_000n);
  }
}

/** Kubernetes' MicroTime: RFC 3339 with six digits. */
function microTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z');
}
