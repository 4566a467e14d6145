/**
 * Endpoints: the interfaces of this node's pods. A container runtime asks for them through CNI; each is a row of a table,
 * a file on disk, a veth pair, a TCX link and rows of the maps `endpoints` and `netns_endpoints`.
 *
 * Which addresses there are is ipam's, what happens to packets is the datapath's, the wording for the runtime is cni's.
 * Begin with `endpoint.ts`, then `endpoints.ts`.
 */
export { type PodDevices, podDevices } from './device.ts';
export { type Endpoint, type EndpointTable, endpointKey, hostNameOf, podName } from './endpoint.ts';
export { type Endpoints, type EndpointsOptions, startEndpoints } from './endpoints.ts';
export type { EndpointMaps, PodIdentities, PodPrograms } from './ports.ts';
export { type Publisher, type PublisherOptions, startPublisher } from './slices/publisher.ts';
