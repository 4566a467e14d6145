/** Looks things of the surroundings up, or says why they are not there; and commands of the test's image. */
import type { Address } from '@sluice/net';
import { absent, type Family, type NodeFacts, type Protocol, type Surroundings, type WorldServer } from '../case.ts';

export function podAddress(around: Surroundings, pod: string, family: Family): Address {
  const addresses = around.pods[pod] ?? absent(ONE_NODE);
  return addresses[family] ?? noFamily(family);
}

export function serviceAddress(around: Surroundings, service: string, family: Family): Address {
  return around.services[service]?.[family] ?? noFamily(family);
}

/** Where a service's NodePort is on that node. */
export function nodePortOf(
  around: Surroundings,
  { service, protocol, family, node }: { service: string; protocol: Protocol; family: Family; node: NodeFacts },
): { readonly address: Address; readonly port: number } {
  const address = node.addresses.find((one) => one.includes(':') === (family === 6)) ?? noFamily(family);
  const port = around.nodePorts[service]?.[protocol] ?? absent(`service ${service} was given no node port`);
  return { address, port };
}

const ONE_NODE = 'only one node is Ready; this takes two';

export function noFamily(family: Family): never {
  absent(`this cluster has no IPv${family}`);
}

export function farNode({ nodes: [near, far] }: Surroundings): NodeFacts {
  return near.name === far.name ? absent(ONE_NODE) : far;
}

export function worldServer(around: Surroundings, family: Family): WorldServer {
  podAddress(around, 'client', family);
  return around.world[family] ?? absent(`no IPv${family} server outside of the cluster is known: give --world ADDRESS`);
}

/** On the host's network a pod has the node's host name, whatever that is: its server tells the node it was given. */
export function answererOf({ nodes: [near, far] }: Surroundings, pod: string): string {
  if (pod === 'host-near') return `node=${near.name}`;
  return pod === 'host-far' ? `node=${far.name}` : `host=${pod}`;
}

/** Pods that tell the far node are only there when it is another one. */
export function requireNodeOf(around: Surroundings, pod: string): void {
  if (pod === 'echo-other-node' || pod === 'host-far') farNode(around);
}

/** What a server must see of a pod that asks; from the host's network any address of the node will do. */
export function seenOf(around: Surroundings, pod: string, family: Family): readonly string[] | undefined {
  return pod.startsWith('host-') ? undefined : [podAddress(around, pod, family)];
}

/** What `ownstack --for` calls its target. */
export const alias: Readonly<Record<Family, string>> = { 4: '198.18.0.1', 6: '2001:2::1' };

/** A client on a network stack of its own, whose packets no socket hook sees. */
export function pastHooks(target: Address, family: Family, protocol: string, ...rest: readonly string[]): string[] {
  return ['lab-pod', 'ownstack', '--for', target, '--', 'client', protocol, alias[family], ...rest];
}
