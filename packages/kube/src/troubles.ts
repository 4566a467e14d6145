import { type Clock, systemClock } from '@sluice/runtime';
import type { Controller, Controllers } from '@sluice/state';
import type { EventRecorder, ObjectReference } from './event-recorder.ts';

/** Something of an object that cannot be served, in words for whoever describes the object. */
export interface Trouble {
  readonly object: ObjectReference;
  /** One word in CamelCase, for machines. */
  readonly reason: string;
  readonly message: string;
}

export interface TroublesOptions {
  /** Of the controller that looks. */
  readonly name: string;
  /** All troubles that there are now. */
  readonly find: () => Iterable<Trouble>;
  readonly recorder: EventRecorder;
  readonly controllers: Controllers;
  readonly clock?: Clock;
  /** From one look to the next; default 5 s. */
  readonly intervalMs?: number;
}

// Events are kept for an hour: a trouble that lasts must be told again before.
const repeatMs = 1_800_000;
const toldMax = 5_000;

/**
 * Tells of troubles as Warning events on the objects concerned: when one is seen first, and every half hour as long as it
 * lasts. One that comes and goes is told as often as one that stays. What the recorder does not take is told later.
 */
export function tellTroubles(options: TroublesOptions): Controller {
  const { name, find, recorder, controllers, clock = systemClock, intervalMs = 5_000 } = options;
  const told = new Map<string, number>();
  const nowMs = () => Number(clock.monotonicNs() / 1_000_000n);
  const forgetOld = () => {
    for (const [key, atMs] of told) if (nowMs() - atMs >= repeatMs) told.delete(key);
  };
  return controllers.start({
    name,
    intervalMs,
    run: () => {
      forgetOld();
      for (const trouble of find()) {
        const key = keyOf(trouble);
        if (told.has(key) || told.size >= toldMax) continue;
        if (recorder.offer({ ...trouble, type: 'Warning' })) told.set(key, nowMs());
      }
    },
  });
}

function keyOf({ object, reason, message }: Trouble): string {
  return [object.kind, object.namespace, object.name, object.uid, reason, message].join('\n');
}
