/**
 * The container network interface (CNI, specification 1.1.0): the agent's side of the conversation with `sluice-cni`,
 * the static C program in `../c` that a container runtime runs for each pod.
 *
 * It checks requests, words results and errors for each version of the specification, and serves the unix socket. What
 * an attachment gets (addresses, names, programs) is decided by whoever implements `CniHandler`: the endpoint package.
 * Begin with `handler.ts`, then `conversation.ts`.
 */

export { cniConfiguration, writeCniConfiguration } from './configuration.ts';
export { CniCode, CniError } from './error.ts';
export type { Addition, Attachment, Check, CniHandler, InspectedPod, PodFacts, Removal } from './handler.ts';
export { installedPlugins } from './installed-plugins.ts';
export { configurationsIn, othersAside, putOthersBack, setOthersAside } from './other-configurations.ts';
export { type PortMapping, parsePortMappings } from './port-mapping.ts';
export {
  type AddRequest,
  type AttachmentKey,
  type CheckRequest,
  type CniRequest,
  type DelRequest,
  type GcRequest,
  type PodReference,
  parseRequest,
  type StatusRequest,
} from './request.ts';
export { type CniResult, type CniResultInterface, type CniResultIp, formatResult } from './result.ts';
export { type CniAnswer, type CniServer, type CniServerOptions, startCniServer } from './server.ts';
export { type CniVersion, supportedVersions } from './version.ts';
