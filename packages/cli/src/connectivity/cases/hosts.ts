/** Nodes, by pods on their networks: as clients and as servers. */
import { type Case, defineCase, type Family, families, type Protocol, protocols, type Surroundings } from '../case.ts';
import { SERVICE_PORT } from '../workload.ts';
import { podAddress, requireNodeOf, serviceAddress } from './look-up.ts';
import { type Talk, talk } from './talk.ts';

const hint =
  'sluice status on both nodes: Routing, Cluster health; ip route on the node has routes to the pods by sluice_host?';

const ways = [
  ['pod-to-host/local', 'client', { pod: 'host-near' }, 'a pod reaches its own node, which sees its address'],
  ['pod-to-host/remote', 'client', { pod: 'host-far' }, 'a pod reaches another node, which sees its address'],
  ['host-to-pod/same-node', 'host-near', { pod: 'echo-same-node' }, 'a node reaches a pod of its own'],
  ['host-to-pod/other-node', 'host-near', { pod: 'echo-other-node' }, 'a node reaches a pod of another node'],
  ['host-to-host', 'host-near', { pod: 'host-far' }, 'a node reaches another node'],
  ['host-to-service', 'host-near', { service: 'echo-other-node' }, 'a node reaches a pod by its service'],
  ['host-to-service/host-backend', 'host-near', { service: 'host-far' }, 'a node reaches another one by a service'],
] as const satisfies readonly (readonly [name: string, from: string, to: Talk['to'], summary: string])[];

export function hostCases(around: Surroundings): Case[] {
  return families.flatMap((family) => [
    ...protocols.flatMap((protocol) => [
      ...ways.map(([name, from, to, summary]) => talk(around, { name, summary, hint, from, to, family, protocol })),
      refusal(around, family, protocol),
    ]),
    ...ways.flatMap(([name, from, to, summary]) =>
      'pod' in to ? [ping(around, { name, from, pod: to.pod, summary, family })] : [],
    ),
  ]);
}

function refusal(around: Surroundings, family: Family, protocol: Protocol): Case {
  const text = {
    name: `host-to-service/no-backends/${protocol}/ipv${family}`,
    summary: 'a service without pods refuses a node at once',
    hint,
  };
  return defineCase(text, () => [
    {
      from: 'host-near',
      command: ['client', protocol, serviceAddress(around, 'nobody', family), String(SERVICE_PORT)],
      expected: { outcome: 'refused' },
    },
  ]);
}

interface Ping {
  readonly name: string;
  readonly from: string;
  readonly pod: string;
  readonly summary: string;
  readonly family: Family;
}

function ping(around: Surroundings, { name, from, pod, summary, family }: Ping): Case {
  return defineCase({ name: `${name}/icmp/ipv${family}`, summary: `${summary}, by ping`, hint }, () => {
    requireNodeOf(around, pod);
    const target = podAddress(around, pod, family);
    const expected = { outcome: 'echoed', from: target, isFull: false } as const;
    return [{ from, command: ['lab-pod', 'ping', target], expected }];
  });
}
