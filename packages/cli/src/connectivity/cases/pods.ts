/** Pods to pods, by their own addresses. */
import { type Case, defineCase, type Family, families, protocols, type Surroundings } from '../case.ts';
import { CLOSED_PORT } from '../workload.ts';
import { podAddress, requireNodeOf } from './look-up.ts';
import { talk } from './talk.ts';

const places = [
  { place: 'same-node', pod: 'echo-same-node' },
  { place: 'other-node', pod: 'echo-other-node' },
] as const;

const hint = {
  'same-node': 'sluice endpoint list on the node has a row for each of the two pods?',
  'other-node': 'sluice node list on both nodes: TUNNEL and PROBLEMS; UDP 8472 must pass between them',
} as const;

export function podCases(around: Surroundings): Case[] {
  return families.flatMap((family) =>
    places.flatMap(({ place, pod }) => [
      ...protocols.map((protocol) =>
        talk(around, {
          name: `pod-to-pod/${place}`,
          summary: `a pod asks a pod of the ${place.replace('-', ' ')}, which sees the pod's own address`,
          hint: hint[place],
          from: 'client',
          to: { pod },
          family,
          protocol,
        }),
      ),
      ...protocols.map((protocol) => closedPort(around, { place, pod, family, protocol })),
      ping(around, { place, pod, family }),
      hopLimit(around, { place, pod, family }),
    ]),
  );
}

interface Place {
  readonly place: 'same-node' | 'other-node';
  readonly pod: string;
  readonly family: Family;
}

function closedPort(around: Surroundings, { place, pod, family, protocol }: Place & { protocol: string }): Case {
  const text = {
    name: `pod-to-pod/${place}/closed-port/${protocol}/ipv${family}`,
    summary: 'a port where no process listens is refused at once: the reset or ICMP error comes back to the pod',
    hint: hint[place],
  };
  return defineCase(text, () => {
    requireNodeOf(around, pod);
    const command = ['client', protocol, podAddress(around, pod, family), String(CLOSED_PORT)];
    return [{ from: 'client', command, expected: { outcome: 'refused' } }];
  });
}

function ping(around: Surroundings, { place, pod, family }: Place): Case {
  const text = {
    name: `pod-to-pod/${place}/icmp/ipv${family}`,
    summary: `a pod pings a pod of the ${place.replace('-', ' ')}`,
    hint: hint[place],
  };
  return defineCase(text, () => {
    requireNodeOf(around, pod);
    const from = podAddress(around, pod, family);
    return [
      { from: 'client', command: ['lab-pod', 'ping', from], expected: { outcome: 'echoed', from, isFull: false } },
    ];
  });
}

function hopLimit(around: Surroundings, { place, pod, family }: Place): Case {
  const text = {
    name: `pod-to-pod/${place}/hop-limit/ipv${family}`,
    summary: 'a packet with a hop limit of 1 ends at the node, which says so: traceroute shows the way',
    hint: 'sluice monitor --type drop: the packet is dropped as TTL exceeded, and its sender is told',
  };
  return defineCase(text, () => {
    requireNodeOf(around, pod);
    const target = podAddress(around, pod, family);
    const command = ['lab-pod', 'ping', target, '--hops', '1'];
    return [{ from: 'client', command, expected: { outcome: 'time-exceeded', notFrom: target } }];
  });
}
