/** Pods to services, translated at the socket. */
import { type Case, defineCase, type Family, families, type Protocol, protocols, type Surroundings } from '../case.ts';
import { PAIR, SERVICE_PORT } from '../workload.ts';
import { farNode, podAddress, serviceAddress } from './look-up.ts';
import { talk } from './talk.ts';

const hint =
  'sluice service list on the node: is the frontend done, and are its backends those of kubectl get endpointslices?';
const affinityHint = 'sluice service list -o json: sessionAffinity of the frontend; sluice map list: affinities';
/** Attempts from which it can be told how backends are chosen: 1 in 2^23 that chance alone makes all go one way. */
export const MANY = 24;
export const manyTimes = ['--count', String(MANY), '--end-on-failure'] as const;

export function serviceCases(around: Surroundings): Case[] {
  return families.flatMap((family) => [
    ...protocols.flatMap((protocol) => [
      ...answeredCases(around, family, protocol),
      ...refusedCases(around, family, protocol),
      everyBackend(around, family, protocol),
      affinity(around, family, protocol),
      oneBackend(around, family, protocol),
    ]),
    ...byName(around, family),
  ]);
}

function answeredCases(around: Surroundings, family: Family, protocol: Protocol): Case[] {
  const service = (name: string, to: string, summary: string, extra: readonly string[] = []): Case =>
    talk(around, {
      ...{
        name: `pod-to-service/${name}`,
        summary,
        hint,
        from: 'client',
        to: { service: to },
        family,
        protocol,
        extra,
      },
      by: to,
    });
  return [
    service(
      'same-node',
      'echo-same-node',
      'a service leads to a pod of the same node, and the client sees the service',
    ),
    service(
      'other-node',
      'echo-other-node',
      'a service leads to a pod of another node, and the client sees the service',
    ),
    service('hairpin', 'client', 'a pod reaches itself by a service of its own'),
    service('host-backend', 'host-far', "a service leads to a pod on another node's network"),
    ...(protocol === 'udp'
      ? [service('unconnected', 'echo-other-node', 'sendto() and recvfrom() see the service', ['--unconnected'])]
      : []),
    ...(family === 4
      ? [service('mapped', 'echo-other-node', 'an IPv6 socket reaches an IPv4 service (::ffff:a.b.c.d)', ['--mapped'])]
      : []),
  ];
}

function refusedCases(around: Surroundings, family: Family, protocol: Protocol): Case[] {
  const refused = (name: string, service: string, port: number, summary: string): Case =>
    defineCase({ name: `pod-to-service/${name}/${protocol}/ipv${family}`, summary, hint }, () => {
      if (service !== 'nobody') farNode(around);
      const command = ['client', protocol, serviceAddress(around, service, family), String(port)];
      return [{ from: 'client', command, expected: { outcome: 'refused' } }];
    });
  return [
    refused('no-backends', 'nobody', SERVICE_PORT, 'a service without pods refuses at once, it is not silent'),
    refused('no-such-port', 'echo-other-node', SERVICE_PORT + 1, 'a port that the service does not have is refused'),
    refused(
      'closed-backend',
      'closed',
      SERVICE_PORT,
      'a backend whose port is closed refuses, and the client hears of it',
    ),
  ];
}

function everyBackend(around: Surroundings, family: Family, protocol: Protocol): Case {
  const text = {
    name: `pod-to-service/every-backend/${protocol}/ipv${family}`,
    summary: `${MANY} connections to a service reach each of its two pods`,
    hint,
  };
  return defineCase(text, () => [
    {
      from: 'client',
      command: askPair(around, 'pair', family, [protocol, ...manyTimes]),
      expected: { outcome: 'every-host', of: PAIR },
    },
  ]);
}

function affinity(around: Surroundings, family: Family, protocol: Protocol): Case {
  const text = {
    name: `pod-to-service/affinity/${protocol}/ipv${family}`,
    summary: `with sessionAffinity ClientIP, ${MANY} connections of a pod reach the same backend`,
    hint: affinityHint,
  };
  return defineCase(text, () => [
    {
      from: 'client',
      command: askPair(around, 'pair-sticky', family, [protocol, ...manyTimes]),
      expected: { outcome: 'one-host', of: PAIR },
    },
  ]);
}

function oneBackend(around: Surroundings, family: Family, protocol: Protocol): Case {
  const text = {
    name: `pod-to-service/one-backend/${protocol}/ipv${family}`,
    summary: `what is said ${MANY} times over one socket is heard by one backend`,
    hint: affinityHint,
  };
  const socket = protocol === 'tcp' ? '--stream' : '--unconnected';
  return defineCase(text, () => [
    {
      from: 'client',
      command: askPair(around, 'pair', family, [protocol, socket, ...manyTimes]),
      expected: { outcome: 'one-host', of: PAIR },
    },
  ]);
}

function askPair(around: Surroundings, service: string, family: Family, [protocol = '', ...extra]: string[]): string[] {
  farNode(around);
  return ['client', protocol, serviceAddress(around, service, family), String(SERVICE_PORT), ...extra];
}

function byName(around: Surroundings, family: Family): Case[] {
  const only = `only-ipv${family}`;
  const names = [
    ['by-short-name', 'echo-other-node', 'the name of a service of its own namespace resolves in a pod'],
    ['by-full-name', `echo-other-node.${around.namespace}.svc.cluster.local`, 'the full name of a service resolves'],
    ['single-family', only, `a service that only has IPv${family} is reached by its name`],
  ] as const;
  return names.map(([form, target, summary]) =>
    defineCase(
      { name: `pod-to-service/${form}/tcp/ipv${family}`, summary, hint: 'the cases of dns tell whether names resolve' },
      () => {
        farNode(around);
        if (target === only) serviceAddress(around, only, family);
        // Its one family is what the client must find by itself.
        const choice = target === only ? [] : ['--family', String(family)];
        return [
          {
            from: 'client',
            command: ['client', 'tcp', target, String(SERVICE_PORT), ...choice],
            expected: {
              outcome: 'answered',
              by: 'host=echo-other-node',
              seen: [podAddress(around, 'client', family)],
              peer: undefined,
            },
          },
        ];
      },
    ),
  );
}
