/** NodePorts, asked by pods, by nodes, and from outside of the cluster. */
import { formatAddressPort } from '@sluice/net';
import {
  absent,
  type Case,
  defineCase,
  type Family,
  families,
  OUTSIDE,
  type Protocol,
  protocols,
  type Surroundings,
} from '../case.ts';
import { answererOf, farNode, nodePortOf, pastHooks, podAddress, requireNodeOf } from './look-up.ts';

const hint =
  'sluice service list on the node that was asked shows its backends; sluice monitor --type all there, what became of it';

interface Way {
  readonly name: string;
  readonly from: string;
  readonly service: keyof typeof answerers;
  readonly node: 'near' | 'far';
  readonly summary: string;
}

const answerers = {
  'node-port': 'echo-other-node',
  'node-port-near': 'echo-same-node',
  'node-port-local': 'echo-other-node',
} as const;

const ways: readonly Way[] = [
  {
    ...{ name: 'pod/own-node', from: 'client', service: 'node-port', node: 'near' },
    summary: 'a NodePort of its own node leads a pod to a pod of another node',
  },
  {
    ...{ name: 'pod/other-node', from: 'client', service: 'node-port', node: 'far' },
    summary: 'a NodePort of another node leads a pod to a pod there',
  },
  {
    ...{ name: 'pod/other-node-and-back', from: 'client', service: 'node-port-near', node: 'far' },
    summary: 'a NodePort of another node leads a pod back to a pod of its own node',
  },
  {
    ...{ name: 'node/own', from: 'host-near', service: 'node-port', node: 'near' },
    summary: 'a NodePort of its own leads a node to a pod of another node',
  },
  {
    ...{ name: 'node/other', from: 'host-near', service: 'node-port-near', node: 'far' },
    summary: 'a NodePort of another node leads a node back to a pod of its own',
  },
  {
    ...{ name: 'outside/local-backend', from: OUTSIDE, service: 'node-port-near', node: 'near' },
    summary: 'a NodePort leads who comes from outside to a pod of that node',
  },
  {
    ...{ name: 'outside/remote-backend', from: OUTSIDE, service: 'node-port', node: 'near' },
    summary: 'a NodePort leads who comes from outside to a pod of another node',
  },
  {
    ...{ name: 'outside/policy-local', from: OUTSIDE, service: 'node-port-local', node: 'far' },
    summary: 'with externalTrafficPolicy Local who comes from outside is led to the pod of the node that was asked',
  },
  {
    ...{ name: 'pod/policy-local', from: 'client', service: 'node-port-local', node: 'near' },
    summary: 'with externalTrafficPolicy Local a pod is led to any pod all the same',
  },
];

export function wayInCases(around: Surroundings): Case[] {
  return families.flatMap((family) =>
    protocols.flatMap((protocol) => [
      ...ways.map((way) => asked(around, way, family, protocol)),
      pastSocketHooks(around, family, protocol),
    ]),
  );
}

function asked(around: Surroundings, { name, from, service, node, summary }: Way, family: Family, protocol: Protocol) {
  return defineCase({ name: `node-port/${name}/${protocol}/ipv${family}`, summary, hint }, () => {
    if (from === OUTSIDE && !around.hasOutside)
      absent('commands cannot be run outside of the cluster: give --outside COMMAND');
    requireNodeOf(around, answerers[service]);
    const target = { service, protocol, family, node: node === 'near' ? around.nodes[0] : farNode(around) };
    const { address, port } = nodePortOf(around, target);
    return [
      {
        from,
        command: [...(from === OUTSIDE ? ['lab-pod', 'client'] : ['client']), protocol, address, String(port)],
        expected: {
          outcome: 'answered',
          by: answererOf(around, answerers[service]),
          seen: undefined,
          peer: formatAddressPort(address, port),
        },
      },
    ];
  });
}

function pastSocketHooks(around: Surroundings, family: Family, protocol: Protocol): Case {
  const text = {
    name: `node-port/past-hooks/${protocol}/ipv${family}`,
    summary: 'a NodePort answers packets that no socket hook has seen',
    hint,
  };
  return defineCase(text, () => {
    requireNodeOf(around, 'echo-other-node');
    const { address, port } = nodePortOf(around, { service: 'node-port', protocol, family, node: around.nodes[0] });
    return [
      {
        from: 'packets',
        command: pastHooks(address, family, protocol, String(port)),
        expected: {
          outcome: 'answered',
          by: answererOf(around, 'echo-other-node'),
          seen: [podAddress(around, 'packets', family)],
          peer: undefined,
        },
      },
    ];
  });
}
