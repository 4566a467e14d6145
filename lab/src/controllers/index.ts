/**
 * The control loops of the lab's cluster: deployments, scheduling, endpoint slices, node health, namespaces and garbage.
 * They read and write the store only, each driven by what changed. Begin at `start.ts`.
 */
export { type EventText, recordEvent } from './events.ts';
export { type ControllerOptions, startControllers } from './start.ts';
