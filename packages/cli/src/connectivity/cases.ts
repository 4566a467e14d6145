/** What is tried, from where, and what must come back. Each case is one run of the client inside a pod. */
import { type Address, formatAddressPort } from '@sluice/net';
import { HOST_PORT, PORT } from './workload.ts';

/** Addresses by family, as the cluster gave them; a family that the cluster has not is absent. */
export type Addresses = Readonly<Partial<Record<4 | 6, Address>>>;

export interface Surroundings {
  readonly namespace: string;
  readonly nodes: readonly [near: string, far: string];
  readonly pods: Readonly<Record<string, Addresses>>;
  readonly services: Readonly<Record<string, Addresses>>;
}

export interface Case {
  readonly name: string;
  readonly from: string;
  readonly command: readonly string[];
  readonly expected: Expectation;
}

export type Expectation =
  | {
      readonly outcome: 'answered';
      /** What the answer must hold: `host=POD`, or `node=NODE` where the server is on the host's network. */
      readonly by: string;
      /** Address that the server must have seen; undefined where any of the node's will do. */
      readonly seen: string | undefined;
      /** What the client must believe to talk to: `address:port`. */
      readonly peer: string | undefined;
    }
  | { readonly outcome: 'refused' };

const SERVICE_PORT = 80;
const protocols = ['tcp', 'udp'] as const;

export function casesOf(surroundings: Surroundings): Case[] {
  const families = ([4, 6] as const).filter((family) => surroundings.pods.client?.[family] !== undefined);
  return families
    .flatMap((family) => [
      ...protocols.flatMap((protocol) => [
        ...toPods(surroundings, family, protocol),
        ...toServices(surroundings, family, protocol),
        ...hosts(surroundings, family, protocol),
        refusal(surroundings, family, protocol),
      ]),
      ...byName(surroundings, family),
    ])
    .filter((entry): entry is Case => entry !== undefined);
}

type Protocol = (typeof protocols)[number];
type Family = 4 | 6;

function toPods(around: Surroundings, family: Family, protocol: Protocol): (Case | undefined)[] {
  return [
    answered(around, {
      name: 'pod-to-pod/same-node',
      from: 'client',
      to: around.pods['echo-same-node'],
      port: PORT,
      by: 'echo-same-node',
      family,
      protocol,
    }),
    answered(around, {
      name: 'pod-to-pod/other-node',
      from: 'client',
      to: around.pods['echo-other-node'],
      port: PORT,
      by: 'echo-other-node',
      family,
      protocol,
    }),
  ];
}

function toServices(around: Surroundings, family: Family, protocol: Protocol): (Case | undefined)[] {
  const service = (name: string, by: string, extra: readonly string[] = []): Case | undefined =>
    answered(around, {
      name,
      from: 'client',
      to: around.services[by],
      port: SERVICE_PORT,
      by,
      family,
      protocol,
      extra,
    });
  return [
    service('pod-to-service/same-node', 'echo-same-node'),
    service('pod-to-service/other-node', 'echo-other-node'),
    service('pod-to-service/hairpin', 'client'),
    protocol === 'udp' ? service('pod-to-service/unconnected', 'echo-other-node', ['--unconnected']) : undefined,
    family === 4 ? service('pod-to-service/mapped', 'echo-other-node', ['--mapped']) : undefined,
  ];
}

function hosts(around: Surroundings, family: Family, protocol: Protocol): (Case | undefined)[] {
  const common = { family, protocol };
  return [
    answered(around, {
      name: 'pod-to-host/local',
      from: 'client',
      to: around.pods['host-near'],
      port: HOST_PORT,
      by: 'host-near',
      ...common,
    }),
    answered(around, {
      name: 'pod-to-host/remote',
      from: 'client',
      to: around.pods['host-far'],
      port: HOST_PORT,
      by: 'host-far',
      ...common,
    }),
    answered(around, {
      name: 'host-to-pod/same-node',
      from: 'host-near',
      to: around.pods['echo-same-node'],
      port: PORT,
      by: 'echo-same-node',
      ...common,
    }),
    answered(around, {
      name: 'host-to-pod/other-node',
      from: 'host-near',
      to: around.pods['echo-other-node'],
      port: PORT,
      by: 'echo-other-node',
      ...common,
    }),
    answered(around, {
      name: 'host-to-service',
      from: 'host-near',
      to: around.services['echo-other-node'],
      port: SERVICE_PORT,
      by: 'echo-other-node',
      ...common,
    }),
  ];
}

interface Attempt {
  readonly name: string;
  readonly from: string;
  readonly to: Addresses | undefined;
  readonly port: number;
  readonly by: string;
  readonly family: Family;
  readonly protocol: Protocol;
  readonly extra?: readonly string[];
}

function answered(around: Surroundings, attempt: Attempt): Case | undefined {
  const { from, to, port, by, family, protocol, extra = [] } = attempt;
  const target = to?.[family];
  if (target === undefined) return undefined;
  const fromHost = from.startsWith('host-');
  return {
    name: `${attempt.name}/${protocol}/ipv${family}`,
    from,
    command: ['client', protocol, target, String(port), ...extra],
    expected: {
      outcome: 'answered',
      by: identity(by, around),
      seen: fromHost ? undefined : around.pods[from]?.[family],
      peer: formatAddressPort(target, port),
    },
  };
}

/** A service without pods: TCP is refused at once, a UDP packet is answered with an ICMP error, as without us. */
function refusal(around: Surroundings, family: Family, protocol: Protocol): Case | undefined {
  const target = around.services.nobody?.[family];
  if (target === undefined) return undefined;
  return {
    name: `pod-to-service/no-backends/${protocol}/ipv${family}`,
    from: 'client',
    command: ['client', protocol, target, String(SERVICE_PORT)],
    expected: { outcome: 'refused' },
  };
}

function byName(around: Surroundings, family: Family): Case[] {
  const names = [
    ['short', 'echo-other-node'],
    ['full', `echo-other-node.${around.namespace}.svc.cluster.local`],
  ] as const;
  return names.map(([form, target]) => ({
    name: `pod-to-service/by-${form}-name/tcp/ipv${family}`,
    from: 'client',
    command: ['client', 'tcp', target, String(SERVICE_PORT), '--family', String(family)],
    expected: { outcome: 'answered', by: 'host=echo-other-node', seen: around.pods.client?.[family], peer: undefined },
  }));
}

/** On the host's network a pod has the node's host name, whatever that is: its server tells the node it was given. */
function identity(pod: string, { nodes: [near, far] }: Surroundings): string {
  if (pod === 'host-near') return `node=${near}`;
  return pod === 'host-far' ? `node=${far}` : `host=${pod}`;
}
