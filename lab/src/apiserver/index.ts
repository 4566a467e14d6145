/**
 * A small Kubernetes API server for the lab: objects with validation, watch, conflicts and tables, enough for a real
 * `kubectl` and for the agents. It schedules nothing and allocates only what the real server allocates on write
 * (addresses and node ports of services); the loops are in `../controllers`. Begin at `server.ts`, then `store.ts`.
 */
export type * from './kinds/types.ts';
export type {
  Condition,
  JsonObject,
  KubernetesObject,
  LabelSelector,
  NewObject,
  ObjectMeta,
  OwnerReference,
} from './object.ts';
export {
  type ApiServer,
  type ApiServerOptions,
  type ExecOptions,
  type ExecResult,
  type Listener,
  type LogOptions,
  type PodHooks,
  startApiServer,
} from './server.ts';
export type { DeleteOptions, ListOptions, PatchType, Store, WatchEvent, WriteOptions } from './store.ts';
