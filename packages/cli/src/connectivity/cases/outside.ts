/** What a machine of the same network may not do. */
import { absent, type Case, defineCase, type Family, families, OUTSIDE, type Surroundings } from '../case.ts';
import { HOST_PORT } from '../workload.ts';
import { noFamily, podAddress } from './look-up.ts';

const hint = 'sluice monitor --type drop on the node: such a packet has a reason of its own';
/** Where answers to what is not the pod's would arrive: a port for each family, for listeners hear both. */
const LISTEN_PORT = { 4: 28_764, 6: 28_766 } as const;

export function outsideCases(around: Surroundings): Case[] {
  return families.map((family) => spoofedSource(around, family));
}

/** First that raw packets from there arrive at all; then the same with a pod's address, to which the node would answer. */
function spoofedSource(around: Surroundings, family: Family): Case {
  const text = {
    name: `outside/spoofed-source/udp/ipv${family}`,
    summary: 'a packet from outside that says it comes from a pod is dropped; the pod hears nothing of it',
    hint,
  };
  return defineCase(text, () => {
    if (!around.hasOutside) absent('commands cannot be run outside of the cluster: give --outside COMMAND');
    const client = podAddress(around, 'client', family);
    const [near] = around.nodes;
    const node = near.addresses.find((address) => address.includes(':') === (family === 6));
    const target = [node ?? noFamily(family), String(HOST_PORT)];
    const spoof = ['--source', client, '--source-port', String(LISTEN_PORT[family])];
    const datagram = ['lab-pod', 'datagram', ...target];
    return [
      {
        from: OUTSIDE,
        command: datagram,
        expected: { outcome: 'answered', by: `node=${near.name}`, seen: undefined, peer: undefined },
      },
      {
        from: 'client',
        command: ['lab-pod', 'listen', String(LISTEN_PORT[family]), '1500'],
        expected: { outcome: 'silence' },
        beside: {
          from: OUTSIDE,
          command: [...datagram, ...spoof, '--count', '8', '--interval', '150'],
          expected: { outcome: 'sent' },
        },
      },
    ];
  });
}
