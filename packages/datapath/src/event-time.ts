/** How CLOCK_MONOTONIC, which programs stamp events with, relates to the time of day. */
export interface EventTime {
  readonly now: number;
  readonly monotonicNs: bigint;
}

/** Milliseconds since the epoch. */
export function timeOfEvent(timestampNs: bigint, { now, monotonicNs }: EventTime): number {
  return now - Number((monotonicNs - timestampNs) / 1_000_000n);
}
