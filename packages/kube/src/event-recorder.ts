import { type Clock, type Logger, silentLogger, sleep, systemClock } from '@sluice/runtime';
import type { KubeClient } from './client.ts';
import { KubeError } from './error.ts';
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
}

/** Writes Kubernetes events in the background. Never in the way: what is too much is dropped and counted. */
export interface EventRecorder {
  record(event: RecordedEvent): void;
  /** Events that nobody will see, because there were too many or the server would not take them. */
  readonly dropped: number;
  /** Resolves when nothing waits any more. */
  flush(): Promise<void>;
  /** Forgets what waits. */
  stop(): Promise<void>;
}

export function eventRecorder(options: EventRecorderOptions): EventRecorder {
  return new Recorder(options);
}

// Kubernetes' own limits (client-go's EventCorrelator): a burst of 25 for each object, then one in five minutes.
const burstPerObject = 25;
const refillMs = 300_000;
const objectsMax = 1_000;
const knownEventsMax = 4_096;
const queueMax = 1_000;
const messageMax = 1_024;
const attemptsMax = 3;

interface Bucket {
  tokens: number;
  filledAtMs: number;
}

interface KnownEvent {
  readonly namespace: string;
  readonly name: string;
  count: number;
}

class Recorder implements EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #queue: RecordedEvent[] = [];
  readonly #buckets = new Map<string, Bucket>();
  readonly #known = new Map<string, KnownEvent>();
  readonly #aborter = new AbortController();
  #running: Promise<void> | undefined;
  #sequence = 0;
  #dropped = 0;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLogger;
  }

  get dropped(): number {
    return this.#dropped;
  }

  record(event: RecordedEvent): void {
    if (this.#aborter.signal.aborted || this.#queue.length >= queueMax || !this.#takeToken(event.object)) {
      this.#dropped++;
      return;
    }
    this.#queue.push({ ...event, message: event.message.slice(0, messageMax) });
    this.#running ??= this.#drain();
  }

  async flush(): Promise<void> {
    await this.#running;
  }

  async stop(): Promise<void> {
    this.#dropped += this.#queue.length;
    this.#queue.length = 0;
    this.#aborter.abort();
    await this.#running;
  }

  async #drain(): Promise<void> {
    for (let event = this.#queue.shift(); event; event = this.#queue.shift()) await this.#send(event);
    this.#running = undefined;
  }

  async #send(event: RecordedEvent): Promise<void> {
    for (let attempt = 1; !this.#aborter.signal.aborted; attempt++) {
      try {
        await this.#write(event);
        return;
      } catch (error) {
        const refused = error instanceof KubeError && error.status >= 400 && error.status < 500;
        this.#log.debug({ error, reason: event.reason }, 'event was not written');
        if (refused || attempt >= attemptsMax) break;
        await sleep(this.#clock, 1_000 * attempt, this.#aborter.signal);
      }
    }
    this.#dropped++;
  }

  // The same event again only raises a count.
  async #write(event: RecordedEvent): Promise<void> {
    const key = [referenceKey(event.object), event.type, event.reason, event.message].join('\n');
    const known = this.#known.get(key);
    const { signal } = this.#aborter;
    if (known) {
      const patch = { count: known.count + 1, lastTimestamp: this.#time() };
      try {
        const { namespace, name } = known;
        await this.#options.client.patch(resources.events, { namespace, name, patch, signal });
        known.count++;
        return;
      } catch (error) {
        // Events live for an hour only.
        if (!(error instanceof KubeError && error.status === 404)) throw error;
      }
    }
    const object = this.#object(event);
    const namespace = object.metadata.namespace;
    const created = await this.#options.client.create(resources.events, object, { namespace, signal });
    const metadata = isRecord(created) && isRecord(created.metadata) ? created.metadata : {};
    const name = typeof metadata.name === 'string' ? metadata.name : object.metadata.name;
    setBounded(this.#known, key, { namespace, name, count: 1 }, knownEventsMax);
  }

  #object({ object, type, reason, message }: RecordedEvent) {
    const { component, host } = this.#options;
    const namespace = object.namespace || 'default';
    const unique = `${this.#clock.now().toString(16)}${(this.#sequence++ & 0xffff).toString(16).padStart(4, '0')}`;
    return {
      metadata: { namespace, name: `${object.name.slice(0, 200)}.${unique}` },
      involvedObject: object,
      type,
      reason,
      message,
      count: 1,
      firstTimestamp: this.#time(),
      lastTimestamp: this.#time(),
      source: { component, host },
      reportingComponent: component,
      reportingInstance: host,
    };
  }

  #takeToken(object: ObjectReference): boolean {
    const key = referenceKey(object);
    const nowMs = Number(this.#clock.monotonicNs() / 1_000_000n);
    const bucket = this.#buckets.get(key) ?? { tokens: burstPerObject, filledAtMs: nowMs };
    const refill = Math.floor((nowMs - bucket.filledAtMs) / refillMs);
    bucket.tokens = Math.min(burstPerObject, bucket.tokens + refill);
    bucket.filledAtMs += refill * refillMs;
    setBounded(this.#buckets, key, bucket, objectsMax);
    if (bucket.tokens === 0) return false;
    bucket.tokens--;
    return true;
  }

  #time(): string {
    return `${new Date(this.#clock.now()).toISOString().slice(0, 19)}Z`;
  }
}

function referenceKey({ kind, namespace = '', name, uid = '' }: ObjectReference): string {
  return [kind, namespace, name, uid].join('/');
}

// Who was used longest ago goes first.
function setBounded<T>(map: Map<string, T>, key: string, value: T, max: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= max) return;
  const oldest = map.keys().next();
  if (!oldest.done) map.delete(oldest.value);
}
