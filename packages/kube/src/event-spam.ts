import { createHash } from 'node:crypto';
import type { Clock } from '@sluice/runtime';
import type { ObjectReference, RecordedEvent } from './event-recorder.ts';

/** An event that may be written, and what makes two of them the same. */
export interface AdmittedEvent {
  readonly key: string;
  readonly event: RecordedEvent;
}

// Kubernetes' own rules for clients (EventCorrelator of client-go): each object gets a burst of 25, then one in five
// minutes; of more than ten messages for one reason within ten minutes, the rest are one event.
const burstPerObject = 25;
const refillPerObjectMs = 300_000;
const similarMax = 10;
const similarMs = 600_000;
/** Ours, since one cause may concern every object of the cluster. */
const burst = 100;
const refillMs = 1_000;
const objectsMax = 1_000;
const combined = '(combined from similar events): ';

interface Group {
  readonly digests: Set<string>;
  readonly sinceMs: number;
}

/** Decides what of many events is written, so that the API server never has to bear the whole of a bad moment. */
export class EventSpam {
  readonly #clock: Clock;
  readonly #all: Bucket;
  readonly #buckets = new Map<string, Bucket>();
  readonly #groups = new Map<string, Group>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#all = new Bucket({ burst, refillMs }, this.#nowMs());
  }

  /** Undefined: there were too many of late. */
  admit(event: RecordedEvent): AdmittedEvent | undefined {
    const group = [referenceText(event.object), event.type, event.reason].join('\n');
    if (!this.#takeToken(referenceText(event.object))) return undefined;
    if (!this.#isOneTooMany(group, event.message)) return { key: digestOf(`${group}\n${event.message}`), event };
    return { key: digestOf(group), event: { ...event, message: `${combined}${event.message}` } };
  }

  #takeToken(object: string): boolean {
    const nowMs = this.#nowMs();
    const bucket =
      this.#buckets.get(object) ?? new Bucket({ burst: burstPerObject, refillMs: refillPerObjectMs }, nowMs);
    setBounded(this.#buckets, object, bucket, objectsMax);
    if (!bucket.has(nowMs) || !this.#all.has(nowMs)) return false;
    bucket.take();
    this.#all.take();
    return true;
  }

  #isOneTooMany(key: string, message: string): boolean {
    const nowMs = this.#nowMs();
    const known = this.#groups.get(key);
    const group = known && nowMs - known.sinceMs < similarMs ? known : { digests: new Set<string>(), sinceMs: nowMs };
    setBounded(this.#groups, key, group, objectsMax);
    const digest = digestOf(message);
    if (group.digests.has(digest)) return false;
    if (group.digests.size >= similarMax) return true;
    group.digests.add(digest);
    return false;
  }

  #nowMs(): number {
    return Number(this.#clock.monotonicNs() / 1_000_000n);
  }
}

/** Tokens that come back one by one. */
class Bucket {
  readonly #burst: number;
  readonly #refillMs: number;
  #tokens: number;
  #filledAtMs: number;

  constructor({ burst, refillMs }: { readonly burst: number; readonly refillMs: number }, nowMs: number) {
    this.#burst = burst;
    this.#refillMs = refillMs;
    this.#tokens = burst;
    this.#filledAtMs = nowMs;
  }

  has(nowMs: number): boolean {
    const refill = Math.floor((nowMs - this.#filledAtMs) / this.#refillMs);
    this.#tokens = Math.min(this.#burst, this.#tokens + refill);
    this.#filledAtMs += refill * this.#refillMs;
    return this.#tokens > 0;
  }

  take(): void {
    this.#tokens--;
  }
}

function referenceText({ kind, namespace = '', name, uid = '' }: ObjectReference): string {
  return [kind, namespace, name, uid].join('/');
}

/** 64 bits: enough to tell the events of one object apart, and short enough for a name. */
function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/** Who was used longest ago goes first. */
export function setBounded<T>(map: Map<string, T>, key: string, value: T, max: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= max) return;
  const oldest = map.keys().next();
  if (!oldest.done) map.delete(oldest.value);
}
