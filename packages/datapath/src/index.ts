/**
 * The kernel side of a node, for the rest of Sluice: our objects loaded, attached and pinned, their maps as typed rows,
 * drops as readable events. It decides nothing: what stands in the maps is written by others. Layouts come from the
 * objects (`generated/`). Begin with `datapath.ts`; tests of others use `createFakeDatapathMaps`.
 */

export type { TypedMap } from '@sluice/bpf';
export { enableStatistics, type MapCounts, NotSupportedError } from '@sluice/bpf';
export { aliasTarget, type CollectionCounts, type CollectionOptions, collectConnections } from './connections.ts';
export { type Datapath, type DatapathOptions, openDatapath, type PodLink } from './datapath.ts';
export { decodeDrop, type PacketDrop } from './drop-event.ts';
export { type DropReasonText, dropReasonText, isDrop } from './drop-reasons.ts';
export type {
  AskedProgram,
  DryRun,
  PacketAnswer,
  PacketQuestion,
  ServiceCall,
  ServiceRow,
  SocketAnswer,
  SocketCall,
} from './dry-run.ts';
export type { EventTime } from './event-time.ts';
export type { DatapathEvent, Events } from './events.ts';
export * from './generated/index.ts';
export { type Expedite, expeditedGracePeriods } from './grace-periods.ts';
export { type Inspection, isSocketMap } from './inspection.ts';
export type { KernelDrop } from './kernel-drop-event.ts';
export { type KernelDropCount, type KernelDrops, kernelDropsLink } from './kernel-drops.ts';
export type { LinkStatus } from './links.ts';
export { createFakeDatapathMaps, type DatapathMaps } from './maps.ts';
export { sockHookNames } from './objects.ts';
export { findOtherPrograms, type HookedDevice, type OtherProgram } from './other-programs.ts';
export type { StaleSocket, StaleSockets } from './stale-sockets.ts';
export type { ConnectionEnd, ConnectionTrace } from './trace-event.ts';
export type { MapUsage, ProgramRuns, ProgramUsage } from './usage.ts';
