import { type ClusterStatus, clusterProblems, type NodeStatus } from '../cluster-status.ts';
import { alignTable, counted, formatAge } from '../output.ts';
import { statusText } from './status-text.ts';

export interface ClusterTextOptions {
  readonly verbose: boolean;
  readonly now: number;
}

/** A line a node, then the operators, then what does not work. */
export function clusterStatusText(status: ClusterStatus, options: ClusterTextOptions): string {
  const problems = clusterProblems(status);
  const whole = status.nodes.flatMap(({ report }) =>
    report === undefined ? [] : [`\n${statusText(report, options)}`],
  );
  return [
    alignTable({
      columns: [
        'NODE',
        'SLUICE',
        'VERSION',
        'UP',
        'KUBERNETES',
        'CNI',
        'CONTROLLERS',
        'NODES',
        'PODS',
        'SERVICES',
        'DROPS',
      ],
      rows: status.nodes.map((node) => nodeRow(node, options.now)),
    }),
    `\n${operatorLine(status)}\n`,
    ...(problems.length === 0 ? [] : ['\n', ...problems.map((problem) => `${problem}\n`)]),
    ...(options.verbose ? whole : []),
  ].join('');
}

function nodeRow({ node, problems, report }: NodeStatus, now: number): string[] {
  if (report === undefined) return [node, 'unknown'];
  const { version, startedAt, kubernetes, cni, controllers, nodes, ipam, drops } = report;
  const services = kubernetes.watches.find(({ kind }) => kind === 'Service')?.objects;
  return [
    node,
    problems.length === 0 ? 'Ok' : 'Degraded',
    version,
    formatAge((now - startedAt) / 1000),
    word(kubernetes.state),
    word(cni.state),
    `${controllers.healthy}/${controllers.total}`,
    `${nodes.filter(({ state }) => state === 'reachable').length}/${nodes.length}`,
    String(Math.max(0, ...ipam.map(({ allocated }) => allocated))),
    services === undefined ? '' : String(services),
    String(drops.reduce((sum, drop) => sum + drop.packets, 0)),
  ];
}

function word(state: 'ok' | 'off' | 'degraded'): string {
  return { ok: 'Ok', off: 'off', degraded: 'Degraded' }[state];
}

function operatorLine({ operators }: ClusterStatus): string {
  const ready = operators.filter(({ problem }) => problem === undefined);
  const where = ready.map(({ node }) => node).join(', ');
  return `Operator: ${ready.length} of ${counted(operators.length, 'pod')} ready${where === '' ? '' : ` (${where})`}`;
}
