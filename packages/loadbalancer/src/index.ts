/**
 * Services: from the API's Services and EndpointSlices to the kernel's frontends, slots and backends. It does not
 * choose a backend for a packet (the kernel does) and does not watch the API (tables come in filled). Begin with
 * `desired.ts`, then `kernel-services.ts`.
 */

export { isForAnother, type Viewpoint } from './desired.ts';
export {
  conflictKey,
  conflictText,
  type DesiredServices,
  deriveServices,
  type FrontendConflict,
  guardedViewpoint,
  type ServiceSources,
} from './desired-services.ts';
export { ExternalIpGuard, type ExternalIpRules, externalIpRules } from './external-ips.ts';
export type { BackendStateName, DesiredBackend, DesiredFrontend, FrontendType } from './frontend.ts';
export { anyAddress, isAnyAddress } from './frontend.ts';
export { type EndpointSources, frontendEndpoints } from './frontend-endpoints.ts';
export { type BackendPlace, goneBackends, leftAddresses } from './gone-backends.ts';
export type { HealthCheckRow } from './health-check-servers.ts';
export {
  type HostPort,
  type HostPortNode,
  type HostPortPod,
  type HostPortSource,
  hostPortText,
  type KeptPort,
  unservedHostPort,
} from './host-ports.ts';
export type { ServiceMaps } from './kernel-services.ts';
export { Lag } from './lag.ts';
export { type FrontendRow, type LoadBalancer, type LoadBalancerOptions, startLoadBalancer } from './load-balancer.ts';
export { type MaglevOptions, maglevTable, type Permutation, permutationOf } from './maglev-table.ts';
export { type MaglevSettings, maglevChunkSlots, maglevRowsForAll } from './maglev-tables.ts';
export { invalid, serviceTroubles } from './troubles.ts';
export { type UnservedFrontend, unservedFrontends } from './unserved.ts';
export { reasonsText, type SeenEndpoint, type WhyUnused } from './unused.ts';
export type { WithdrawnPods } from './withdrawn.ts';
