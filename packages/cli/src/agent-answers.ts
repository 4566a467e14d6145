/** The agent's answers as its package states them (report.ts), to hold what comes over the socket against. */
import type {
  BothWays,
  ConnectionReport,
  ExplainReport,
  IdentityRow,
  IpListRow,
  MapUsage,
  MonitorDrop,
  MonitorEvent,
  MonitorTrace,
  NamedEnd,
  Page,
  ProgramUsage,
  State,
  StatusReport,
  TableReport,
} from '@sluice/agent';
import { anything, flag, list, number, oneOf, optional, record, type Shape, text } from './shape.ts';

const state: Shape<State> = oneOf('ok', 'off', 'degraded');
const device = record<StatusReport['kubeProxyReplacement']['devices'][number]>({
  name: text,
  addresses: list(text),
  why: text,
});
const traffic = { direction: text, packets: number, bytes: number };

const mapUsage = record<MapUsage>({
  name: text,
  type: text,
  entries: optional(number),
  maxEntries: number,
  bytes: optional(number),
});

/** `GET /maps` */
export const mapsAnswer = list(mapUsage);

/** `GET /status` */
export const statusAnswer = record<StatusReport>({
  node: text,
  version: text,
  startedAt: number,
  kernel: text,
  kubernetes: record({
    state,
    server: text,
    version: optional(text),
    lastError: optional(text),
    watches: list(
      record({ kind: text, synced: flag, objects: number, off: optional(text), lastError: optional(text) }),
    ),
  }),
  kubeProxyReplacement: record({
    enabled: flag,
    why: optional(text),
    devices: list(device),
    hooks: list(record({ name: text, attached: flag, why: optional(text) })),
  }),
  cni: record({ state, socket: text, configFile: optional(text), why: optional(text) }),
  ipam: list(record({ family: oneOf(4, 6), prefix: text, allocated: number, total: optional(number) })),
  routing: record({
    network: text,
    host: text,
    hostWhy: optional(text),
    mtu: number,
    routes: list(record({ node: text, podCidrs: list(text), tunnelEndpoint: text, mtu: number })),
  }),
  devices: list(record({ name: text, mtu: number, addresses: list(text), selected: flag, why: text })),
  attachMode: text,
  masquerading: record({
    state,
    why: optional(text),
    ipv4: flag,
    ipv6: flag,
    devices: list(record({ name: text, addresses: list(text) })),
  }),
  controllers: record({
    total: number,
    healthy: number,
    list: list(
      record({
        name: text,
        successCount: number,
        failureCount: number,
        consecutiveFailures: number,
        lastSuccessAt: optional(number),
        lastFailureAt: optional(number),
        lastError: optional(text),
      }),
    ),
  }),
  modules: list(record({ name: text, state, why: optional(text) })),
  maps: mapsAnswer,
  foreignRules: list(record({ kind: oneOf('iptables', 'nftables'), owner: text, count: number })),
  foreignRulesUnknown: optional(text),
  foreignPrograms: list(
    record({
      hook: text,
      device: optional(text),
      id: number,
      name: text,
      place: oneOf('before ours', 'after ours', 'alone'),
    }),
  ),
  foreignProgramsUnknown: optional(text),
  nodes: list(
    record({
      name: text,
      local: flag,
      addresses: list(text),
      state: oneOf('reachable', 'unreachable', 'unknown'),
      why: optional(text),
    }),
  ),
  drops: list(record({ ...traffic, reason: text, hint: text })),
  forwarded: list(record(traffic)),
  eventsLost: number,
  kernelDropsMissed: number,
  eventsWithheld: number,
  tracesWithheld: number,
  configurationWarnings: list(text),
});

/** `GET /programs` */
export const programsAnswer = list(
  record<ProgramUsage>({
    name: text,
    type: text,
    id: number,
    attachedTo: list(text),
    instructions: number,
    bytes: number,
    runCount: optional(number),
    averageNs: optional(number),
  }),
);

/** `GET /identities?offset=N` */
export const identitiesAnswer = record<Page<IdentityRow>>({
  rows: list(
    record<IdentityRow>({ identity: number, labels: list(text), endpoints: number, unusedSince: optional(number) }),
  ),
  next: optional(number),
});

/** `GET /ips?offset=N` */
export const ipsAnswer = record<Page<IpListRow>>({
  rows: list(
    record<IpListRow>({
      prefix: text,
      identity: number,
      labels: list(text),
      node: text,
      tunnelEndpoint: optional(text),
      source: oneOf('endpoint', 'host', 'node', 'slice', 'pod CIDR', 'service CIDR'),
      pod: optional(text),
    }),
  ),
  next: optional(number),
});

/** The part of a frontend's row that we look into. */
export interface FrontendRow {
  readonly backends: readonly { readonly key: string; readonly state: string }[];
}

const table = { name: text, revision: number, initialized: flag, columns: list(text), cells: list(list(text)) };

/** `GET /tables/NAME` */
export const tableAnswer = record<TableReport>({ ...table, rows: list(anything) });

/** `GET /tables/frontends` */
export const frontendsAnswer = record<TableReport>({
  ...table,
  rows: list(record<FrontendRow>({ backends: list(record({ key: text, state: text })) })),
});

/** `GET /tables` */
export const tablesAnswer = list(
  record<{ readonly name: string; readonly rows: number }>({ name: text, rows: number }),
);

/** `GET /version` */
export const versionAnswer = record<{ readonly version: string }>({ version: text });

const namedEnd = record<NamedEnd>({ address: text, port: number, name: text });
const bothWays = record<BothWays>({ sent: number, replied: number });

/** A line of `GET /connections`. */
export const connectionLine = record<ConnectionReport>({
  protocol: text,
  source: namedEnd,
  destination: namedEnd,
  sourceIdentity: text,
  destinationIdentity: text,
  frontend: optional(namedEnd),
  translatedSource: optional(namedEnd),
  state: text,
  isEvictable: flag,
  ageSeconds: number,
  expiresSeconds: number,
  packets: bothWays,
  bytes: bothWays,
});

/** A line of `GET /monitor`: an event, or how many were left out because this side read too slowly. */
export type MonitorLine = MonitorEvent | { readonly type: 'lost'; readonly count: number };

const lostLine = record<{ readonly type: 'lost'; readonly count: number }>({ type: oneOf('lost'), count: number });
const seenTraffic = {
  at: number,
  tracePoint: text,
  source: text,
  destination: text,
  sourceAddress: text,
  sourcePort: number,
  destinationAddress: text,
  destinationPort: number,
  protocol: text,
  sourceIdentity: text,
  destinationIdentity: text,
  interface: text,
};
const dropLine = record<MonitorDrop>({
  ...seenTraffic,
  type: oneOf('drop'),
  reason: text,
  hint: text,
  direction: oneOf('ingress', 'egress', 'kernel'),
  packet: text,
  length: number,
});
const traceLine = record<MonitorTrace>({
  ...seenTraffic,
  type: oneOf('trace'),
  state: text,
  direction: oneOf('ingress', 'egress'),
  frontend: optional(namedEnd),
  translatedSource: optional(namedEnd),
  packets: bothWays,
  bytes: bothWays,
});

const typeOf = (value: unknown): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, 'type') : undefined;

const monitorEvent: Shape<MonitorEvent> = {
  check: (value, at) => (typeOf(value) === 'trace' ? traceLine : dropLine).check(value, at),
};

/** `GET /events` */
export const eventsAnswer = list(monitorEvent);

export const monitorLine: Shape<MonitorLine> = {
  check: (value, at) => (typeOf(value) === 'lost' ? lostLine : monitorEvent).check(value, at),
};

const step = record<ExplainReport['steps'][number]>({
  step: oneOf(
    'pod',
    'name',
    'service',
    'socket',
    'packet',
    'source',
    'connection',
    'translation',
    'route',
    'masquerade',
    'drop',
    'answer',
    'note',
  ),
  text,
  facts: anything as Shape<ExplainReport['steps'][number]['facts']>,
});

/** `GET /explain` */
export const explainAnswer = record<ExplainReport>({
  from: text,
  to: text,
  protocol: text,
  verdict: oneOf('forwarded', 'dropped'),
  summary: text,
  hint: optional(text),
  steps: list(step),
});
