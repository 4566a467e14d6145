/** The status in the shape that users of the incumbent know, with the reason beside everything that is not plainly on. */
import type { State, StatusReport } from '@sluice/agent';
import { clockApart } from '@sluice/runtime';
import { alignPairs, alignTable, counted, formatAge } from '../output.ts';
import { isHealthy } from '../status-health.ts';
import { mapTable } from './maps.ts';

const MAX_FILL = 0.9;

type Pair = readonly [label: string, value: string];

export function statusText(report: StatusReport, options: { readonly verbose: boolean; readonly now: number }): string {
  const pairs = [...summary(report, options.now), ...health(report)];
  const details = options.verbose ? verboseSections(report, options.now) : [];
  return `${alignPairs(pairs)}\n${details.map((section) => `\n${section}`).join('')}`;
}

function summary(report: StatusReport, now: number): Pair[] {
  return [
    ['Node', `${report.node}   (kernel ${report.kernel})`],
    ['Kubernetes', kubernetes(report)],
    ...clock(report),
    ['Kubernetes APIs', JSON.stringify(report.kubernetes.watches.map((watch) => watch.kind))],
    ['KubeProxyReplacement', proxyReplacement(report)],
    ...(report.kubeProxyReplacement.enabled ? [['NodePorts', nodePorts(report)] as const] : []),
    ...othersPlaces('External IPs', report.kubeProxyReplacement.refusedExternalIps),
    ...othersPlaces('Conflicts', report.kubeProxyReplacement.conflicts),
    ['CNI', withReason(report.cni.state, report.cni.why)],
    [
      'Sluice',
      `${isHealthy(report) ? 'Ok' : 'Degraded'}   ${report.version}   up ${formatAge((now - report.startedAt) / 1000)}`,
    ],
    ...report.ipam.map(
      (pool): Pair => [
        'IPAM',
        `IPv${pool.family}: ${pool.allocated}/${pool.total ?? '2^64'} allocated from ${pool.prefix}`,
      ],
    ),
    ['Devices', devices(report)],
    ['Routing', routing(report)],
    ...acceleration(report),
    ['Attach Mode', report.attachMode],
    ['Masquerading', masquerading(report)],
    ['iptables and nftables', foreignRules(report)],
    ...foreignPrograms(report),
    ...foreignFilters(report),
  ];
}

function health(report: StatusReport): Pair[] {
  const reachable = report.nodes.filter((node) => node.state === 'reachable').length;
  const states = (['ok', 'off', 'degraded'] as const).map(
    (state) => `${title(state)}(${report.modules.filter((m) => m.state === state).length})`,
  );
  const drops = report.drops.reduce((sum, drop) => sum + drop.packets, 0);
  const fullest = fullestMap(report);
  return [
    ['Controller Status', `${report.controllers.healthy}/${report.controllers.total} healthy`],
    ...failing(report),
    ['Cluster health', `${reachable}/${report.nodes.length} reachable`],
    ...report.nodes
      .filter((n) => n.state !== 'reachable')
      .map((node): Pair => ['', `${node.name}: ${node.state}${reason(node.why)}`]),
    ['Modules Health', states.join(' ')],
    ...report.modules
      .filter((m) => m.state !== 'ok')
      .map((module): Pair => ['', `${module.name}: ${withReason(module.state, module.why)}`]),
    ['BPF Maps', fullest],
    ...natPorts(report),
    ['Drops', drops === 0 ? 'none' : counted(drops, 'packet')],
    ...report.drops.map(
      (drop): Pair => ['', `${drop.reason} (${drop.direction}): ${counted(drop.packets, 'packet')}; ${drop.hint}`],
    ),
    ...(report.kernelDropsMissed > 0
      ? [['Drops missed', `${report.kernelDropsMissed} of the kernel (its tracepoint was busy on that CPU)`] as const]
      : []),
    ...(report.eventsLost > 0 ? [['Events lost', `${report.eventsLost} (the ring was full)`] as const] : []),
    ...(report.eventsWithheld > 0
      ? [['Events withheld', `${report.eventsWithheld} (too many drops at once; the counts above have all)`] as const]
      : []),
    ...report.configurationWarnings.map((warning): Pair => ['Configuration', warning]),
  ];
}

function kubernetes({ kubernetes }: StatusReport): string {
  const version = kubernetes.version === undefined ? '' : `${kubernetes.version}   `;
  return `${title(kubernetes.state)}   ${version}${kubernetes.server}${kubernetes.state === 'ok' ? '' : reason(kubernetes.lastError)}`;
}

function clock({ kubernetes: { clockAheadMs = 0 } }: StatusReport): Pair[] {
  const apart = clockApart(clockAheadMs);
  return apart === undefined ? [] : [['Clock', `${apart} that of the API server; "sluice doctor" says what to do`]];
}

function proxyReplacement({ kubeProxyReplacement: proxy }: StatusReport): string {
  const devices = proxy.devices.map((device) => [device.name, ...device.addresses].join(' ')).join(', ');
  const forwarding = proxy.forwarding === undefined ? '' : `   ${proxy.forwarding}`;
  return `${proxy.enabled ? 'True' : 'False'}   [${devices}]${forwarding}${reason(proxy.why)}`;
}

/** Where they are not is worth a word only where somebody has chosen. */
function nodePorts({ kubeProxyReplacement: { nodePorts } }: StatusReport): string {
  const { first, last, addresses, without } = nodePorts;
  const where = addresses.length === 0 ? 'nowhere' : `at ${addresses.join(' ')}`;
  const exceptions = without.length === 0 ? '' : `, not at ${without.join(' ')} (nodePort.addresses)`;
  return `${first} to ${last} ${where}${exceptions}`;
}

const refusedNamedMax = 3;

/** Faults of Services, not of this node. */
function othersPlaces(label: string, refused: StatusReport['kubeProxyReplacement']['conflicts']): Pair[] {
  if (refused.length === 0) return [];
  const more = refused.length - refusedNamedMax;
  return [
    [
      label,
      `${counted(refused.length, 'place')} not served: ${refused.length === 1 ? 'it is' : 'they are'} somebody else's`,
    ],
    ...refused.slice(0, refusedNamedMax).map(({ key, reason }): Pair => ['', `${key}: ${reason}`]),
    ...(more > 0 ? [['', `and ${more} more, see "sluice service list"`] as const] : []),
  ];
}

function devices(report: StatusReport): string {
  const chosen = report.devices.filter((device) => device.selected);
  if (chosen.length === 0) return 'none faces the network; --verbose says why';
  return chosen.map(({ name, why }) => `${name} (${why})`).join(', ');
}

/** Off by default, which is not worth a line. */
function acceleration({ acceleration: report }: StatusReport): Pair[] {
  if (report === undefined || report.wanted === 'disabled') return [];
  const devices = report.devices.map(({ name, mode, why }) => `${name} ${mode}${why === '' ? '' : ` (${why})`}`);
  return [['XDP Acceleration', `${report.wanted}   ${devices.join(', ') || 'no device faces the network'}`]];
}

/** Routes that take no less than all the others are not worth a word. */
function routing({ routing: { network, host, hostWhy, mtu, routes } }: StatusReport): string {
  const narrow = routes.filter((route) => route.mtu < mtu).map((route) => `, to pods of ${route.node} ${route.mtu}`);
  const way = `${host}${hostWhy === undefined ? '' : ` (${hostWhy})`}`;
  return `Network: ${network}   Host: ${way}   MTU: ${mtu}${narrow.join('')}`;
}

function masquerading({ masquerading: { state, why, ipv4, ipv6, devices } }: StatusReport): string {
  if (state !== 'ok') return withReason(state, why);
  const by = devices.map(({ name, addresses }) => [name, ...addresses].join(' ')).join(', ');
  const onOff = (isOn: boolean): string => (isOn ? 'Enabled' : 'Disabled');
  return `BPF   [${by}]   IPv4: ${onOff(ipv4)}   IPv6: ${onOff(ipv6)}`;
}

function foreignRules(report: StatusReport): string {
  if (report.foreignRulesUnknown !== undefined) return `unknown: ${report.foreignRulesUnknown}`;
  if (report.foreignRules.length === 0) return '0 rules on this node';
  return report.foreignRules.map((rule) => `${counted(rule.count, `${rule.kind} rule`)} of ${rule.owner}`).join(', ');
}

function foreignPrograms({ foreignPrograms, foreignProgramsUnknown }: StatusReport): Pair[] {
  const label = 'Other BPF programs';
  if (foreignProgramsUnknown !== undefined) return [[label, `unknown: ${foreignProgramsUnknown}`]];
  if (foreignPrograms.length === 0) return [[label, '0 at our hooks']];
  return [
    [label, `${counted(foreignPrograms.length, 'program')} at our hooks`],
    ...foreignPrograms.map(({ name, id, hook, place }): Pair => ['', `${name} (id ${id}) at ${hook}, ${place}`]),
  ];
}

/** Nothing where there is none: most nodes never have one. */
function foreignFilters({ foreignFilters: filters }: StatusReport): Pair[] {
  if (filters.length === 0) return [];
  const places = [...new Set(filters.map(({ device, hook }) => `${hook} of ${device}`))];
  const more = places.length > PLACES_SHOWN ? ` and ${places.length - PLACES_SHOWN} more places` : '';
  const where = `${places.slice(0, PLACES_SHOWN).join(', ')}${more}`;
  return [['Filters of tc', `${filters.length} at ${where}, behind our programs: they miss what those deliver`]];
}

const PLACES_SHOWN = 4;

function failing(report: StatusReport): Pair[] {
  return report.controllers.list
    .filter((controller) => controller.consecutiveFailures > 0)
    .map((controller): Pair => ['', `${controller.name}: ${controller.lastError}`]);
}

function fullestMap(report: StatusReport): string {
  const fills = report.maps
    // Arrays are always full, LRU maps evict: neither refuses a new entry.
    .filter((map) => map.entries !== undefined && map.maxEntries > 0 && !/array|lru/i.test(map.type))
    .map((map) => ({ name: map.name, fill: (map.entries ?? 0) / map.maxEntries }));
  const fullest = fills.reduce((a, b) => (b.fill > a.fill ? b : a), { name: '', fill: -1 });
  if (fullest.fill < 0) return counted(report.maps.length, 'map');
  const warning = fullest.fill > MAX_FILL ? '; nearly full: new entries will be refused' : '';
  return `${counted(report.maps.length, 'map')}, fullest: ${fullest.name} ${(100 * fullest.fill).toFixed(1)}%${warning}`;
}

const MAX_PORTS_FILL = 0.85;

/** Nothing while no connection leaves with an address of the node. */
function natPorts({ natPorts: fullest }: StatusReport): Pair[] {
  if (fullest === undefined) return [];
  const { destination, source, ports, portsMax, isExhausted } = fullest;
  const warning = ports >= MAX_PORTS_FILL * portsMax ? '; nearly all: new connections there will be refused' : '';
  const told = isExhausted ? '; none is left: new connections there are refused' : warning;
  const share = `${ports}/${portsMax} (${((100 * ports) / portsMax).toFixed(1)}%)`;
  return [['NAT Ports', `fullest: ${share} of ${source} towards ${destination}${told}`]];
}

function verboseSections(report: StatusReport, now: number): string[] {
  return [
    `Kube-proxy replacement hooks:\n${alignTable({
      columns: ['HOOK', 'ATTACHED', 'WHY'],
      rows: report.kubeProxyReplacement.hooks.map((hook) => [hook.name, hook.attached ? 'yes' : 'no', hook.why ?? '']),
    })}`,
    `Devices:\n${alignTable({ columns: ['NAME', 'MTU', 'ADDRESSES', 'CHOSEN', 'WHY'], rows: report.devices.map((d) => [d.name, String(d.mtu), d.addresses.join(' '), d.selected ? 'yes' : 'no', d.why]) })}`,
    `Routes to pods of other nodes:\n${alignTable({ columns: ['NODE', 'POD CIDRS', 'TUNNEL', 'MTU'], rows: report.routing.routes.map((r) => [r.node, r.podCidrs.join(' '), r.tunnelEndpoint, String(r.mtu)]) })}`,
    `Watches:\n${alignTable({ columns: ['KIND', 'SYNCED', 'OBJECTS', 'ERROR'], rows: report.kubernetes.watches.map((w) => [w.kind, w.synced ? 'yes' : (w.off ?? 'no'), String(w.objects), w.lastError ?? '']) })}`,
    `Controllers:\n${controllersTable(report, now)}`,
    `Modules:\n${alignTable({ columns: ['NAME', 'STATE', 'WHY'], rows: report.modules.map((m) => [m.name, title(m.state), m.why ?? '']) })}`,
    `BPF maps:\n${alignTable(mapTable(report.maps))}`,
    `Nodes:\n${alignTable({ columns: ['NAME', 'ADDRESSES', 'STATE'], rows: report.nodes.map((n) => [`${n.name}${n.local ? ' (localhost)' : ''}`, n.addresses.join(' '), n.state]) })}`,
    ...(report.tracesWithheld > 0
      ? [`${counted(report.tracesWithheld, 'change')} of connections told to nobody: too many at once\n`]
      : []),
    `Packets:\n${alignTable({
      columns: ['REASON', 'DIRECTION', 'PACKETS', 'BYTES'],
      rows: [
        ...report.forwarded.map((f) => ['Forwarded', f.direction, String(f.packets), String(f.bytes)]),
        ...report.drops.map((d) => [d.reason, d.direction, String(d.packets), String(d.bytes)]),
      ],
    })}`,
  ];
}

function controllersTable(report: StatusReport, now: number): string {
  const ago = (at: number | undefined): string => (at === undefined ? 'never' : `${formatAge((now - at) / 1000)} ago`);
  return alignTable({
    columns: ['NAME', 'LAST SUCCESS', 'LAST ERROR', 'RUNS', 'FAILURES', 'MESSAGE'],
    rows: report.controllers.list.map((controller) => [
      controller.name,
      ago(controller.lastSuccessAt),
      ago(controller.lastFailureAt),
      String(controller.successCount),
      String(controller.failureCount),
      controller.lastError ?? 'no error',
    ]),
  });
}

const reason = (why: string | undefined): string => (why === undefined || why === '' ? '' : `: ${why}`);
const withReason = (state: State, why: string | undefined): string => `${title(state)}${reason(why)}`;

function title(state: State): string {
  return { ok: 'Ok', off: 'Disabled', degraded: 'Degraded' }[state];
}
