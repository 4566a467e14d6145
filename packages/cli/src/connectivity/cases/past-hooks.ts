/**
 * Services, asked by packets that no socket hook has seen: those of a network stack inside the pod, and raw ones. Each
 * packet is translated on its way, and so is its answer.
 */
import { formatAddressPort } from '@sluice/net';
import {
  type Case,
  defineCase,
  type Family,
  families,
  type Protocol,
  protocols,
  type Step,
  type Surroundings,
} from '../case.ts';
import { PAIR, SERVICE_PORT } from '../workload.ts';
import { answererOf, farNode, pastHooks, requireNodeOf, seenOf, serviceAddress } from './look-up.ts';
import { MANY, manyTimes } from './services.ts';

const hint = 'sluice monitor --type all --pod packets on the node shows what became of the packets; sluice nat list';
const FROM = 'packets';
const PORT_TEXT = String(SERVICE_PORT);

export function pastHooksCases(around: Surroundings): Case[] {
  return families.flatMap((family) => [
    ...protocols.flatMap((protocol) => [
      ...answeredCases(around, family, protocol),
      ...refusedCases(around, family, protocol),
      ...choiceCases(around, family, protocol),
    ]),
    ...rawCases(around, family),
  ]);
}

const ways = [
  ['same-node', FROM, 'echo-same-node', 'a service leads to a pod of the same node'],
  ['other-node', FROM, 'echo-other-node', 'a service leads to a pod of another node'],
  ['hairpin', FROM, FROM, 'a pod reaches itself by a service of its own'],
  ['host-backend', FROM, 'host-far', "a service leads to a pod on another node's network"],
  ['from-host', 'host-near', 'echo-other-node', "a service answers what a node's own stack has sent as packets"],
] as const;

function answeredCases(around: Surroundings, family: Family, protocol: Protocol): Case[] {
  const through = ways.map(([name, from, service, summary]) =>
    defineCase({ name: `past-hooks/${name}/${protocol}/ipv${family}`, summary, hint }, () => {
      requireNodeOf(around, service);
      const target = serviceAddress(around, service, family);
      // Who reaches itself is shown another address: its own would be no answer to its stack.
      const seen = service === from ? undefined : seenOf(around, from, family);
      return [
        {
          from,
          command: pastHooks(target, family, protocol, PORT_TEXT),
          expected: { outcome: 'answered', by: answererOf(around, service), seen, peer: undefined },
        },
      ];
    }),
  );
  return [...through, nestedNamespace(around, family, protocol), bulk(around, family, protocol)];
}

function nestedNamespace(around: Surroundings, family: Family, protocol: Protocol): Case {
  const text = {
    name: `past-hooks/nested-namespace/${protocol}/ipv${family}`,
    summary: 'a process in a network namespace inside the pod reaches a service by its address',
    hint,
  };
  return defineCase(text, () => {
    farNode(around);
    const address = serviceAddress(around, 'echo-other-node', family);
    const command = ['lab-pod', 'ownstack', '--', 'client', protocol, address, PORT_TEXT];
    const peer = formatAddressPort(address, SERVICE_PORT);
    const seen = seenOf(around, FROM, family);
    return [{ from: FROM, command, expected: { outcome: 'answered', by: 'host=echo-other-node', seen, peer } }];
  });
}

function bulk(around: Surroundings, family: Family, protocol: Protocol): Case {
  const bytes = protocol === 'tcp' ? 2_000_000 : 65_000;
  const text = {
    name: `past-hooks/${protocol === 'tcp' ? 'stream' : 'large-datagram'}/${protocol}/ipv${family}`,
    summary: `${bytes} bytes go to a service and back, ${protocol === 'tcp' ? 'in segments' : 'in fragments'}`,
    hint,
  };
  return defineCase(text, () => {
    farNode(around);
    const target = serviceAddress(around, 'echo-other-node', family);
    const command = pastHooks(target, family, protocol, PORT_TEXT, '--bytes', String(bytes), '--timeout', '5000');
    const expected = {
      outcome: 'answered',
      by: 'host=echo-other-node',
      seen: seenOf(around, FROM, family),
      peer: undefined,
      isInFullSegments: protocol === 'tcp',
    } as const;
    return [{ from: FROM, command, expected }];
  });
}

function refusedCases(around: Surroundings, family: Family, protocol: Protocol): Case[] {
  const refused = (name: string, service: string, port: number, summary: string): Case =>
    defineCase({ name: `past-hooks/${name}/${protocol}/ipv${family}`, summary, hint }, () => {
      if (service !== 'nobody') farNode(around);
      const command = pastHooks(serviceAddress(around, service, family), family, protocol, String(port));
      return [{ from: FROM, command, expected: { outcome: 'refused' } }];
    });
  return [
    refused('no-backends', 'nobody', SERVICE_PORT, 'a service without pods refuses at once'),
    refused('no-such-port', 'echo-other-node', SERVICE_PORT + 1, 'a port that the service does not have is refused'),
    refused('closed-backend', 'closed', SERVICE_PORT, "the refusal of a backend comes back as the service's"),
  ];
}

function choiceCases(around: Surroundings, family: Family, protocol: Protocol): Case[] {
  const ask = (service: string, ...extra: readonly string[]): readonly string[] => {
    farNode(around);
    return pastHooks(serviceAddress(around, service, family), family, protocol, PORT_TEXT, ...extra);
  };
  const define = (name: string, summary: string, steps: () => Step[], isSameHost = false): Case =>
    defineCase({ name: `past-hooks/${name}/${protocol}/ipv${family}`, summary, hint, isSameHost }, steps);
  const socket = protocol === 'tcp' ? '--stream' : '--unconnected';
  const one = { outcome: 'one-host', of: PAIR } as const;
  return [
    define('every-backend', `${MANY} connections to a service reach each of its two pods`, () => [
      { from: FROM, command: ask('pair', ...manyTimes), expected: { outcome: 'every-host', of: PAIR } },
    ]),
    define('one-backend', `what is said ${MANY} times over one connection is heard by one backend`, () => [
      { from: FROM, command: ask('pair', socket, ...manyTimes), expected: one },
    ]),
    define(
      'affinity',
      'with sessionAffinity ClientIP, connections by sockets and by packets reach the same backend',
      () => [
        {
          from: FROM,
          command: ['client', ...hooked(around, family, protocol), '--count', '3', '--end-on-failure'],
          expected: one,
        },
        { from: FROM, command: ask('pair-sticky', ...manyTimes), expected: one },
        {
          from: FROM,
          command: ['client', ...hooked(around, family, protocol), '--count', '3', '--end-on-failure'],
          expected: one,
        },
      ],
      true,
    ),
  ];
}

const hooked = (around: Surroundings, family: Family, protocol: Protocol): readonly string[] => [
  protocol,
  serviceAddress(around, 'pair-sticky', family),
  PORT_TEXT,
];

function rawCases(around: Surroundings, family: Family): Case[] {
  const raw = (name: string, summary: string, ...extra: readonly string[]): Case =>
    defineCase({ name: `past-hooks/${name}/udp/ipv${family}`, summary, hint }, () => {
      farNode(around);
      const address = serviceAddress(around, 'echo-other-node', family);
      return [
        {
          from: FROM,
          command: ['lab-pod', 'datagram', address, PORT_TEXT, ...extra],
          expected: {
            outcome: 'answered',
            by: 'host=echo-other-node',
            seen: seenOf(around, FROM, family),
            peer: formatAddressPort(address, SERVICE_PORT),
          },
        },
      ];
    });
  const fragments = ['--bytes', '12000', '--fragment', '1000'];
  return [
    raw('raw', 'a datagram from a raw socket reaches a service, and its answer comes from there'),
    raw('fragments', 'a datagram in 13 fragments reaches a service', ...fragments),
    raw(
      'fragments-reversed',
      'a datagram whose last fragment comes first reaches a service',
      ...fragments,
      '--reverse',
    ),
  ];
}
