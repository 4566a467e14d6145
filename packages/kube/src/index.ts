/**
 * The Kubernetes API as we need it: a client on node:https with several servers, list-watch into tables, leader election
 * and events, and a slim parser for each kind that we read. No generated types, no cache beside the tables, no other kinds
 * than those used. Begin with `reflector.ts`; objects become rows in `objects/`.
 */
export {
  type ApiCall,
  createKubeClient,
  type DeleteOptions,
  KubeClient,
  type KubeClientOptions,
  type ObjectName,
  type PatchOptions,
  type RawRequest,
  type WatchOptions,
} from './client.ts';
export {
  type ConfigurationSources,
  type CredentialPlugin,
  type KubeConfiguration,
  kubeConfiguration,
  serversOf,
} from './configuration.ts';
export type { ConnectionProof, Proof, ProofSource } from './credentials.ts';
export {
  isAlreadyExists,
  isConflict,
  isExpired,
  isForbidden,
  isNotFound,
  KubeError,
  type KubeErrorCode,
} from './error.ts';
export {
  type EventRecorder,
  type EventRecorderOptions,
  eventRecorder,
  type ObjectReference,
  type RecordedEvent,
} from './event-recorder.ts';
export { Field, isRecord, present } from './field.ts';
export { readKubeconfig, readKubeconfigs } from './kubeconfig.ts';
export { type LeaderElection, type LeaderElectionOptions, leaderElection } from './leader-election.ts';
export type { KubeLimits } from './limits.ts';
export type { ListOptions, ObjectList } from './list.ts';
export {
  type CiliumEndpointSliceObject,
  type PublishedEndpoint,
  parseCiliumEndpointSlice,
} from './objects/cilium-endpoint-slice.ts';
export {
  type CiliumIdentityObject,
  parseCiliumIdentity,
  unusedSinceAnnotation,
} from './objects/cilium-identity.ts';
export {
  type EndpointPort,
  type EndpointSliceObject,
  parseEndpointSlice,
  type SliceEndpoint,
} from './objects/endpoint-slice.ts';
export { type NamespacedRow, type ObjectRow, objectKey } from './objects/metadata.ts';
export { type NamespaceObject, parseNamespace } from './objects/namespace.ts';
export { type NodeAddress, type NodeObject, parseNode } from './objects/node.ts';
export { type ContainerPort, type PodObject, parsePod } from './objects/pod.ts';
export {
  type LoadBalancerIngress,
  parseService,
  type ServiceAlgorithm,
  type ServiceForwardingMode,
  type ServiceObject,
  type ServicePort,
  type TrafficPolicy,
} from './objects/service.ts';
export { parseServiceCidr, type ServiceCidrObject } from './objects/service-cidr.ts';
export { operatorLease } from './operator-lease.ts';
export {
  type ChangeCount,
  type Reflector,
  type ReflectorOptions,
  type ReflectorStatus,
  type RowStore,
  reflector,
  type WatchAction,
} from './reflector.ts';
export {
  apiVersionOf,
  pathTemplate,
  type Resource,
  type ResourcePathParts,
  resourcePath,
  resources,
} from './resource.ts';
export type { ServerStatus } from './servers.ts';
export { type Trouble, type TroublesOptions, tellTroubles } from './troubles.ts';
export type { WatchEvent } from './watch-stream.ts';
