/**
 * The nodes of the cluster: our own one's devices (the pair sluice_host and sluice_net, the tunnel sluice_vxlan), routes
 * to all pods and services, and what the maps must know of every other node to reach its pods.
 *
 * It gives no addresses to pods (ipam), loads no program (datapath) and watches no API itself (tables come in filled).
 * Begin with `nodes.ts`; `node.ts`, `device.ts` and `desired.ts` are the pure part.
 */
export { type Device, describeDevices, deviceNames, isPodDevice } from './device.ts';
export type { NodeFacts } from './facts.ts';
export type { IpRow } from './ip-rows.ts';
export { deriveNodes, type LocalNode, type Node } from './node.ts';
export { NodeDeviceError } from './node-devices.ts';
export { type NodePortAddresses, type NodesFeature, type NodesOptions, startNodes } from './nodes.ts';
export { ephemeralPorts, leavesPorts, type PortRange } from './port-range.ts';
export type { NodeMaps } from './ports.ts';
export type { DeviceAddress, NodeRow } from './tables.ts';
