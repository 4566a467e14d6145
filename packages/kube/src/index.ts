/**
 * The Kubernetes API as we need it: a client on node:https with several servers, list-watch into tables, leader election
 * and events, and a slim parser for each kind that we read. No generated types, no cache beside the tables, no other kinds
 * than those used. Begin with `reflector.ts`; objects become rows in `objects/`.
 */
export { isAlreadyExists, isConflict, isExpired, isNotFound, KubeError, type KubeErrorCode } from './error.ts';
export { distinct, Field, isRecord, MalformedObjectError, present } from './field.ts';
export {
  type EndpointPort,
  type EndpointSliceObject,
  parseEndpointSlice,
  type SliceEndpoint,
} from './objects/endpoint-slice.ts';
export { type LeaseObject, parseLease } from './objects/lease.ts';
export {
  type NamespacedRow,
  type ObjectRow,
  objectKey,
  openNamespacedObject,
  openObject,
} from './objects/metadata.ts';
export { type NamespaceObject, parseNamespace } from './objects/namespace.ts';
export { type NodeAddress, type NodeObject, parseNode } from './objects/node.ts';
export { type ContainerPort, type PodObject, parsePod } from './objects/pod.ts';
export {
  type LoadBalancerIngress,
  parseService,
  type ServiceObject,
  type ServicePort,
  serviceAnnotationPrefixes,
  type TrafficPolicy,
  transportProtocols,
} from './objects/service.ts';
export { parseServiceCidr, type ServiceCidrObject } from './objects/service-cidr.ts';
export { apiVersionOf, type Resource, type ResourcePathParts, resourcePath, resources } from './resource.ts';
