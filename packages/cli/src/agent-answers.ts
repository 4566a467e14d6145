/** The agent's answers as its package states them (report.ts), to hold what comes over the socket against. */
import type {
  BackendReport,
  BothWays,
  ConfigReport,
  ConnectionReport,
  ExplainReport,
  IdentityRow,
  IpListRow,
  MaglevReport,
  MapRow,
  MapUsage,
  MonitorDrop,
  MonitorEvent,
  MonitorTrace,
  NamedAddress,
  NamedEnd,
  NatPortsReport,
  ProgramUsage,
  ServiceEndpointReport,
  ServiceExplainReport,
  ServiceExplainStep,
  ServicePlaceBackend,
  ServicePlaceReport,
  State,
  StatusReport,
  TableHead,
  TableLine,
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
    clockAheadMs: optional(number),
    lastError: optional(text),
    watches: list(
      record({ kind: text, synced: flag, objects: number, off: optional(text), lastError: optional(text) }),
    ),
  }),
  kubeProxyReplacement: record({
    enabled: flag,
    why: optional(text),
    devices: list(device),
    forwarding: optional(oneOf('snat', 'dsr', 'hybrid')),
    hooks: list(record({ name: text, attached: flag, why: optional(text) })),
    nodePorts: record({ first: number, last: number, addresses: list(text), without: list(text) }),
    refusedExternalIps: list(record({ key: text, reason: text })),
    conflicts: list(record({ key: text, reason: text })),
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
  acceleration: optional(
    record({ wanted: text, devices: list(record({ name: text, mode: oneOf('native', 'generic', 'off'), why: text })) }),
  ),
  attachMode: text,
  masquerading: record({
    state,
    why: optional(text),
    ipv4: flag,
    ipv6: flag,
    devices: list(record({ name: text, addresses: list(text) })),
  }),
  natPorts: optional(record({ destination: text, source: text, ports: number, portsMax: number, isExhausted: flag })),
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
  foreignFilters: list(
    record({
      device: text,
      hook: oneOf('ingress', 'egress'),
      kind: text,
      priority: number,
      program: optional(record({ id: number, name: text })),
    }),
  ),
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

/** A line of `GET /identities`. */
export const identityLine = record<IdentityRow>({
  identity: number,
  labels: list(text),
  endpoints: number,
  unusedSince: optional(number),
});

/** A line of `GET /ips`. */
export const ipLine = record<IpListRow>({
  prefix: text,
  identity: number,
  labels: list(text),
  node: text,
  tunnelEndpoint: optional(text),
  source: oneOf('endpoint', 'host', 'node', 'slice', 'pod CIDR', 'service CIDR'),
  pod: optional(text),
});

/** A line of `GET /backends`. */
export const backendLine = record<BackendReport>({
  id: optional(number),
  backend: text,
  state: text,
  node: text,
  zone: text,
  services: list(text),
  instances: number,
  problem: optional(text),
});

/** A line of `GET /maglev`. */
export const maglevLine = record<MaglevReport>({
  frontend: text,
  service: text,
  size: number,
  backend: text,
  node: text,
  entries: number,
  problem: optional(text),
});

/** A line of `GET /maps/NAME`. */
export const mapLine = record<MapRow>({ key: anything, value: anything });

const configOption = record<ConfigReport['options'][number]>({
  name: text,
  value: text,
  standard: optional(text),
  source: text,
  sentence: text,
  warning: optional(text),
});

/** `GET /config` */
export const configAnswer = record<Omit<ConfigReport, 'values'>>({
  file: optional(text),
  options: list(configOption),
  lacked: anything as Shape<ConfigReport['lacked']>,
  warnings: list(text),
});

/** A metric of `GET /metrics`; its samples are looked into where they are shown. */
export interface ListedMetric {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly labels: readonly string[];
  readonly samples: readonly ListedSample[];
}

/** Of a histogram there are buckets, sum and count, of others a value. */
export interface ListedSample {
  readonly labels: readonly string[];
  /** As text where it is beyond 2^53, and null where it is no number. */
  readonly value?: unknown;
  readonly sum?: unknown;
  readonly count?: unknown;
}

const sample = record<ListedSample>({ labels: list(text), value: anything, sum: anything, count: anything });

/** `GET /metrics` */
export const metricsAnswer = record<{
  readonly values: readonly ListedMetric[];
  readonly failures: readonly { readonly name: string; readonly error: string }[];
}>({
  values: list(record<ListedMetric>({ name: text, type: text, help: text, labels: list(text), samples: list(sample) })),
  failures: list(record({ name: text, error: text })),
});

/** The part of a frontend's row that we look into. */
export interface FrontendRow {
  readonly backends: readonly { readonly key: string; readonly state: string }[];
}

const tableHead = record<TableHead>({ name: text, revision: number, initialized: flag, columns: list(text) });
const frontendRow = record<FrontendRow>({ backends: list(record({ key: text, state: text })) });

const isHead = (value: unknown): boolean => typeof value === 'object' && value !== null && 'columns' in value;

function tableLines(row: Shape<unknown>): Shape<TableHead | TableLine> {
  const line = record<TableLine>({ cells: list(text), row });
  return { check: (value, at) => (isHead(value) ? tableHead : line).check(value, at) };
}

/** A line of `GET /tables/NAME`; the first one is the head. */
export const tableLine = tableLines(anything);

/** A line of `GET /tables/frontends` */
export const frontendLine = tableLines(frontendRow);

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
  dsr: optional(oneOf('asked', 'answering')),
  state: text,
  isEvictable: flag,
  ageSeconds: number,
  expiresSeconds: number,
  packets: bothWays,
  bytes: bothWays,
});

const namedAddress = { address: text, name: text };

/** `GET /nat-ports` */
export const natPortsAnswer = list(
  record<NatPortsReport>({
    protocol: text,
    destination: namedEnd,
    source: record<NamedAddress>(namedAddress),
    ports: number,
    portsMax: number,
    isExhausted: flag,
    clients: list(record<NatPortsReport['clients'][number]>({ ...namedAddress, ports: number })),
  }),
);

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

const serviceStep = record<ServiceExplainStep>({ step: text, text });
const placeBackend = record<ServicePlaceBackend>({
  backend: text,
  pod: text,
  node: optional(text),
  zone: optional(text),
  state: text,
});

const place = record<ServicePlaceReport>({
  frontend: text,
  type: text,
  portName: text,
  client: text,
  verdict: oneOf('served', 'refused', 'dropped', 'not served', 'not asked'),
  summary: text,
  steps: list(serviceStep),
  backends: list(placeBackend),
});

const serviceEndpoint = record<ServiceEndpointReport>({
  endpoint: text,
  portName: text,
  pod: optional(text),
  node: optional(text),
  zone: optional(text),
  state: oneOf('ready', 'terminating', 'not ready'),
  hints: list(text),
  unused: list(record({ frontend: text, why: text })),
});

/** `GET /explain/service` */
export const serviceExplainAnswer = record<ServiceExplainReport>({
  service: text,
  node: text,
  zone: optional(text),
  from: optional(text),
  about: list(serviceStep),
  why: optional(text),
  places: list(place),
  unserved: list(record({ key: text, type: text, portName: text, reason: text })),
  endpoints: list(serviceEndpoint),
  isServed: flag,
});

/** Of `GET /config`, what the machine must fit to. */
export interface ConfiguredNode {
  readonly values: {
    readonly tunnelPort: number;
    readonly MTU: number;
    readonly devices: readonly string[];
    readonly ipv4: { readonly enabled: boolean };
    readonly ipv6: { readonly enabled: boolean };
    readonly prometheus: { readonly enabled: boolean; readonly port: number };
    readonly kubeProxyReplacement: boolean;
    readonly nodePort: {
      readonly range: { readonly first: number; readonly last: number };
      readonly autoProtectPortRange: boolean;
    };
  };
}

const family = record<{ readonly enabled: boolean }>({ enabled: flag });

export const configuredNodeAnswer = record<ConfiguredNode>({
  values: record({
    tunnelPort: number,
    MTU: number,
    devices: list(text),
    ipv4: family,
    ipv6: family,
    prometheus: record({ enabled: flag, port: number }),
    kubeProxyReplacement: flag,
    nodePort: record({ range: record({ first: number, last: number }), autoProtectPortRange: flag }),
  }),
});
