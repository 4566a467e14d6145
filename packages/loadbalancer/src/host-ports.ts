/**
 * Host ports: a port of the node that leads to one pod of it, as a container asks for with `hostPort`. They are known from
 * CNI ADD to DEL, without waiting for the API. A frontend stands at each address of the node, or at the one that the
 * pod names, and at loopback for the node's own processes, as the portmap plugin of CNI has it.
 */
import type { Protocol } from '@sluice/model';
import { type Address, familyOf, formatAddressPort, isLoopback, parseAddress } from '@sluice/net';
import { type DesiredFrontend, keyOf } from './frontend.ts';
import { isServedProtocol } from './unserved.ts';

export interface HostPort {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: Protocol;
  /** Undefined: every address of the node. */
  readonly hostIp: Address | undefined;
}

export interface HostPortPod {
  /** `namespace/name` */
  readonly name: string;
  /** Sorts as time goes: the older pod keeps a port that two ask for. */
  readonly createdAt: string;
  readonly addresses: readonly Address[];
  readonly ports: readonly HostPort[];
}

/** A port of the node without which it would be no node. */
export interface KeptPort {
  readonly port: number;
  readonly protocol: Protocol;
  /** `the kubelet's` */
  readonly whose: string;
}

/** Where the pods are. */
export interface HostPortNode {
  readonly nodeName: string | undefined;
  readonly addresses: readonly Address[];
  /** `nodePort.range`, whose ports are services' alone. */
  readonly nodePorts: { readonly first: number; readonly last: number };
  /** No pod gets them, whatever it asks for: it would be asked in the place of their owners. */
  readonly kept: readonly KeptPort[];
}

/** Pods with host ports, as they come and go; and the node's addresses. */
export interface HostPortSource {
  pods(): readonly HostPortPod[];
  node(): HostPortNode;
  subscribe(changed: () => void): Disposable;
}

const loopback = [parseAddress('127.0.0.1'), parseAddress('::1')] as const;

export function hostPortFrontends(pod: HostPortPod, node: HostPortNode): DesiredFrontend[] {
  return pod.ports
    .filter((port) => unservedHostPort(port, node) === undefined)
    .flatMap((port) =>
      placesOf(port, node).flatMap((address) => {
        const target = pod.addresses.find((own) => familyOf(own) === familyOf(address));
        return target === undefined ? [] : [frontend({ pod, port, node, address, target })];
      }),
    );
}

/** Why nothing serves it; undefined: it is served. */
export function unservedHostPort(port: HostPort, { addresses, nodePorts, kept }: HostPortNode): string | undefined {
  const { hostPort, hostIp, protocol } = port;
  if (!isServedProtocol(port)) return `${protocol} is not served: its ports stand in a checksum that is over all`;
  if (hostPort >= nodePorts.first && hostPort <= nodePorts.last)
    return `${hostPort} is one of nodePort.range (${nodePorts.first} to ${nodePorts.last}), which are for services`;
  const owner = kept.find((each) => each.port === hostPort && each.protocol === protocol);
  if (owner !== undefined) return `${hostPort}/${protocol} is ${owner.whose} on this node`;
  if (hostIp !== undefined && !isLoopback(hostIp) && !addresses.includes(hostIp))
    return `${hostIp} is no address of this node`;
  return undefined;
}

/** `10.10.30.101:8080/TCP`, or `*:8080/TCP` for every address. */
export function hostPortText({ hostIp, hostPort, protocol }: HostPort): string {
  return `${hostIp === undefined ? `*:${hostPort}` : formatAddressPort(hostIp, hostPort)}/${protocol}`;
}

function placesOf({ hostIp }: HostPort, { addresses }: HostPortNode): readonly Address[] {
  return hostIp === undefined ? [...new Set([...addresses, ...loopback])] : [hostIp];
}

interface Placed {
  readonly pod: HostPortPod;
  readonly port: HostPort;
  readonly node: HostPortNode;
  readonly address: Address;
  readonly target: Address;
}

function frontend({ pod, port, node, address, target }: Placed): DesiredFrontend {
  const { hostPort, containerPort, protocol } = port;
  const backend = { address: target, port: containerPort };
  return {
    key: keyOf({ address, port: hostPort }, protocol),
    address,
    port: hostPort,
    protocol,
    type: 'HostPort',
    service: hostPortOwner(pod),
    portName: '',
    scope: 'internal',
    isExternal: !isLoopback(address),
    isElsewhere: false,
    sourceRanges: undefined,
    isNodeAllowed: true,
    affinitySeconds: 0,
    algorithm: 'random',
    forwarding: undefined,
    policy: 'Local',
    unused: undefined,
    backends: [
      {
        ...{ key: keyOf(backend, protocol), ...backend, protocol, nodeName: node.nodeName, state: 'active' },
        zone: undefined,
      },
    ],
  };
}

/** In the place of a service's name, and no service's: no name of one has a colon. */
export function hostPortOwner({ name }: Pick<HostPortPod, 'name'>): string {
  return `${name}:host-port`;
}
