/**
 * Ways between two pods of two nodes that do as good as nothing (bpf/bare-overlay.bpf.c): what is left of the time when
 * everything that Sluice does is taken away. IPv4, no agent.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compileBpf, temporaryDirectory } from '@sluice/testing';
import { ip, type Place, runInsideSync } from '../environment/inside.ts';
import { serve, serverPort, type Target } from '../environment/load.ts';
import { type BenchNetwork, cable, forwarding } from '../environment/network.ts';

export interface BareWay {
  readonly name: string;
  readonly client: Place;
  readonly target: Target;
}

interface Programs {
  readonly name: string;
  readonly send: string;
  readonly receive: string;
  /** Where `receive` stands. */
  readonly receiveAt: 'eno1' | 'tunnel';
}

const ways: readonly Programs[] = [
  { name: 'without a tunnel', send: 'plain_send', receive: 'plain_receive', receiveAt: 'eno1' },
  { name: 'VXLAN by the kernel’s device', send: 'device_send', receive: 'device_receive', receiveAt: 'tunnel' },
  { name: 'VXLAN sent without the device', send: 'own_send', receive: 'device_receive', receiveAt: 'tunnel' },
  { name: 'VXLAN sent and received without it', send: 'own_send', receive: 'own_receive', receiveAt: 'eno1' },
];

export async function bareWays(network: BenchNetwork, stack: AsyncDisposableStack): Promise<readonly BareWay[]> {
  const directory = stack.use(temporaryDirectory()).path;
  for (const node of [1, 2]) {
    writeFileSync(objectOf(directory, node), compileBpf('bench/bpf/bare-overlay.bpf.c', [`-DNODE=${node}`]));
  }
  const made: BareWay[] = [await oneCable(network, stack)];
  for (const way of ways) made.push(await programmed({ network, stack, directory }, way));
  return made;
}

const objectOf = (directory: string, node: number): string => join(directory, `bare-overlay-${node}.o`);

/** Two namespaces and a cable: the cost of TCP itself. */
async function oneCable(network: BenchNetwork, stack: AsyncDisposableStack): Promise<BareWay> {
  const [near, far] = [network.namespace(), network.namespace()];
  cable(
    { netns: near, device: 'eth0', address: '10.32.0.1/24' },
    { netns: far, device: 'eth0', address: '10.32.0.2/24' },
  );
  for (const netns of [near, far]) ip(netns, 'link set eth0 mtu 1450');
  stack.use(await serve({ netns: far }, 'w'));
  return { name: 'one cable, no node', client: { netns: near }, target: targetAt('10.32.0.2', 'w') };
}

const targetAt = (address: string, token: string): Target => ({ address, port: serverPort, token });

interface Making {
  readonly network: BenchNetwork;
  readonly stack: AsyncDisposableStack;
  readonly directory: string;
}

async function programmed({ network, stack, directory }: Making, way: Programs): Promise<BareWay> {
  const nodes = [network.namespace(forwarding), network.namespace(forwarding)] as const;
  const pods = [network.namespace(), network.namespace()] as const;
  ip(nodes[0], `link add eno1 index 100 type veth peer name eno1 index 100 netns ${nodes[1]}`);
  for (const index of [0, 1] as const) {
    const node = index + 1;
    addNode(nodes[index], pods[index], node);
    const object = objectOf(directory, node);
    attach(nodes[index], { device: 'pod', object, program: way.send });
    attach(nodes[index], { device: way.receiveAt, object, program: way.receive });
  }
  stack.use(await serve({ netns: pods[1] }, 'p'));
  return { name: way.name, client: { netns: pods[0] }, target: targetAt('10.31.2.2', 'p') };
}

/** Numbers and addresses as the programs have them. */
function addNode(netns: string, pod: string, node: number): void {
  ip(
    netns,
    `address add 10.30.0.${node}/24 dev eno1`,
    'link set eno1 up',
    `link add pod index 200 type veth peer name eth0 netns ${pod}`,
    `link set pod address 02:00:00:00:67:0${node} mtu 1450 up`,
    'link add tunnel index 300 type vxlan external dstport 8472',
    'link set tunnel mtu 1450 up',
  );
  ip(
    pod,
    `link set eth0 address 02:00:00:00:70:0${node} mtu 1450`,
    `address add 10.31.${node}.2/24 dev eth0`,
    'link set eth0 up',
    `route add default via 10.31.${node}.1 dev eth0 onlink`,
    `neighbour add 10.31.${node}.1 lladdr 02:00:00:00:67:0${node} dev eth0 nud permanent`,
  );
}

interface Attachment {
  readonly device: string;
  readonly object: string;
  readonly program: string;
}

function attach(netns: string, { device, object, program }: Attachment): void {
  const at = ['dev', device];
  runInsideSync({ netns }, ['tc', 'qdisc', 'add', ...at, 'clsact'], '');
  const filter = ['bpf', 'direct-action', 'object-file', object, 'section', `tc/${program}`];
  runInsideSync({ netns }, ['tc', 'filter', 'add', ...at, 'ingress', ...filter], '');
}
