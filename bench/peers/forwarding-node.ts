/** A node without Sluice between a client and a backend: bare programs at XDP, or kube-proxy's rules, no tunnel. */
import type { ObjectSpec } from '@sluice/bpf';
import { macToBytes, packet, parseMac } from '@sluice/net';
import { trackedConnections } from '../environment/conntrack.ts';
import { ip, runInsideSync } from '../environment/inside.ts';
import { attachBare, type FramePath } from '../environment/live-frames.ts';
import { type BenchNetwork, cable, forwarding, makeReal } from '../environment/network.ts';
import type { ProxyMode } from './proxied-path.ts';

const macs = {
  client: '02:00:00:00:41:01',
  nodeIn: '02:00:00:00:41:02',
  nodeOut: '02:00:00:00:42:01',
  backend: '02:00:00:00:42:02',
} as const;
const [clientAddress, nodeAddress] = ['10.41.1.2', '10.41.1.1'];
const [nodeOutAddress, backendAddress] = ['10.41.2.1', '10.41.2.2'];
const nodePort = 32_001;
const flows = 64;

interface Namespaces {
  readonly client: string;
  readonly node: string;
  readonly backend: string;
}

function namespaces(network: BenchNetwork): Namespaces {
  const [client, node, backend] = [network.namespace(), network.namespace(forwarding), network.namespace()];
  cable(
    { netns: client, device: 'eth0', address: `${clientAddress}/24`, mac: macs.client },
    { netns: node, device: 'in', address: `${nodeAddress}/24`, mac: macs.nodeIn },
  );
  cable(
    { netns: backend, device: 'eth0', address: `${backendAddress}/24`, mac: macs.backend },
    { netns: node, device: 'out', address: `${nodeOutAddress}/24`, mac: macs.nodeOut },
  );
  ip(node, `neighbour replace ${backendAddress} lladdr ${macs.backend} dev out nud permanent`);
  for (const [netns, device] of [
    [client, 'eth0'],
    [node, 'in'],
    [node, 'out'],
    [backend, 'eth0'],
  ] as const)
    makeReal({ netns, device });
  return { client, node, backend };
}

/** Data in the midst of connections of one client, as long as those of ours. */
function framesOf(length: number): Uint8Array[] {
  const headers = 14 + 20 + 20;
  return Array.from({ length: flows }, (_, index) =>
    packet()
      .ethernet({ source: parseMac(macs.client), destination: parseMac(macs.nodeIn) })
      .ipv4({ source: clientAddress, destination: nodeAddress })
      .tcp({ sourcePort: 20_000 + index, destinationPort: nodePort, flags: 'A', sequence: 1 })
      .payload('x'.repeat(length - headers)),
  );
}

export interface BareOptions {
  readonly network: BenchNetwork;
  readonly spec: ObjectSpec;
  readonly stack: DisposableStack;
  readonly length: number;
}

/** The frame goes back by the cable that it came by. */
export function bouncing({ network, spec, stack, length }: BareOptions): FramePath {
  const { client, node } = namespaces(network);
  attachBare(spec, { at: { netns: node, device: 'in' }, program: 'bounce' }, stack);
  const from = { netns: client, device: 'eth0' };
  return { from, frames: framesOf(length), end: { ...from, hook: 'xdp' } };
}

/** The frame goes out by the other cable with other MAC addresses. */
export function forwardingBare({ network, spec, stack, length }: BareOptions): FramePath {
  const { client, node, backend } = namespaces(network);
  const [to, by] = [macToBytes(parseMac(macs.backend)), macToBytes(parseMac(macs.nodeOut))];
  const out = { by: { netns: node, device: 'out' }, macs: Uint8Array.from([...to, ...by]) };
  attachBare(spec, { at: { netns: node, device: 'in' }, program: 'forward', out }, stack);
  const from = { netns: client, device: 'eth0' };
  return { from, frames: framesOf(length), end: { netns: backend, device: 'eth0', hook: 'xdp' } };
}

export interface ProxiedFrames extends FramePath {
  tracked(): number;
}

/** kube-proxy's rules: the destination becomes the backend, the source the node. */
export function forwardingByRules({
  network,
  mode,
  length,
}: {
  readonly network: BenchNetwork;
  readonly mode: ProxyMode;
  readonly length: number;
}): ProxiedFrames {
  const { client, node, backend } = namespaces(network);
  const endpoints = [{ address: backendAddress, port: 8080 }];
  const service = { name: 'measured', address: '10.96.0.1', port: 80, nodePort, endpoints };
  runInsideSync({ netns: node }, mode.load, mode.rules([service], { nodeAddresses: [nodeAddress] }));
  return {
    from: { netns: client, device: 'eth0' },
    frames: framesOf(length),
    end: { netns: backend, device: 'eth0', hook: 'tc' },
    tracked: () => trackedConnections(node),
  };
}
