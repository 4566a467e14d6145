// `node kubernetes/cost.ts`: what the network of the cluster that is up costs at rest under the homelab's load: Sluice's
// processes, or kube-proxy's where the cluster was brought up with that. It makes the load, waits until it is served, looks
// twice, a minute apart, and takes the load away.
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { alignTable } from '../packages/cli/src/output.ts';
import { apply, eventually, kubectl, nodeNames, on, onRun, root } from './cluster.ts';

const { values: options } = parseArgs({ options: { seconds: { type: 'string', default: '60' } } });
const NAMESPACE = 'cost';
const SERVICES = 40;
const PODS = 30;
const TICKS_PER_SECOND = 100;

interface Process {
  readonly node: string;
  readonly name: string;
  readonly pid: string;
}

/** Each by what its command line begins with. */
const wanted: readonly (readonly [name: string, pattern: string])[] = [
  ['sluice-agent', '^/opt/sluice/bin/node .*/agent.js'],
  ['sluice-operator', '^/opt/sluice/bin/node .*/operator.js'],
  ['kube-proxy', '/kube-proxy --config='],
];

async function processes(): Promise<Process[]> {
  const found: Process[] = [];
  for (const node of nodeNames)
    for (const [name, pattern] of wanted) {
      const { stdout } = await onRun(node, 'pgrep', '-f', pattern);
      for (const pid of stdout.split('\n')) if (/^\d+$/.test(pid)) found.push({ node, name, pid });
    }
  if (found.length === 0) throw new Error('neither Sluice nor kube-proxy runs on the nodes');
  return found;
}

interface Cost {
  readonly seconds: number;
  readonly resident: number;
  readonly anonymous: number;
  readonly requests: number;
}

async function costOf({ node, name, pid }: Process): Promise<Cost> {
  const status = await on(node, 'cat', `/proc/${pid}/status`);
  const kib = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]);
  // The name in parentheses may have spaces; utime and stime are the 12th and 13th behind it.
  const stat = (await on(node, 'cat', `/proc/${pid}/stat`)).split(') ').at(-1)?.split(' ') ?? [];
  return {
    seconds: (Number(stat[11]) + Number(stat[12])) / TICKS_PER_SECOND,
    resident: kib('VmRSS') / 1024,
    anonymous: kib('RssAnon') / 1024,
    requests: await requestsOf(node, name),
  };
}

/** Requests to the API server until now, as the process itself counts them. */
async function requestsOf(node: string, name: string): Promise<number> {
  const ask = (port: number) => on(node, 'curl', '-sS', '-m', '5', `http://127.0.0.1:${port}/metrics`);
  if (name === 'kube-proxy') return sum(await ask(10249), /^rest_client_requests_total\{.*\} (\S+)$/gm);
  if (name === 'sluice-operator')
    return sum(await ask(9963), /^cilium_operator_k8s_client_api_calls_total\{.*\} (\S+)$/gm);
  const metrics = JSON.parse(
    await on(
      node,
      process.execPath,
      `${root}/dist/sluice.js`,
      'metrics',
      'list',
      '-o',
      'json',
      '--match',
      'k8s_client_api_calls',
    ),
  ) as readonly { readonly value?: number }[];
  return metrics.reduce((all, { value = 0 }) => all + value, 0);
}

const sum = (text: string, pattern: RegExp): number =>
  [...text.matchAll(pattern)].reduce((all, [, value]) => all + Number(value), 0);

async function makeLoad(): Promise<void> {
  await kubectl('create', 'namespace', NAMESPACE);
  const labels = { app: 'load' };
  const container = { name: 'main', image: 'docker.io/sluice-test/agnhost:1', args: ['pause'] };
  await apply(
    JSON.stringify({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'load', namespace: NAMESPACE },
      spec: {
        replicas: PODS,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { terminationGracePeriodSeconds: 0, containers: [container] } },
      },
    }),
  );
  const services = Array.from({ length: SERVICES }, (_, index) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: `service-${index}`, namespace: NAMESPACE },
    spec: { selector: labels, ipFamilyPolicy: 'PreferDualStack', ports: [{ port: 80, targetPort: 8080 }] },
  }));
  await apply(JSON.stringify({ apiVersion: 'v1', kind: 'List', items: services }));
  await eventually(120, () =>
    kubectl('--namespace', NAMESPACE, 'rollout', 'status', 'deployment/load', '--timeout=120s'),
  );
}

try {
  await makeLoad();
  await delay(30_000);
  const found = await processes();
  const before = await Promise.all(found.map(costOf));
  await delay(Number(options.seconds) * 1000);
  const after = await Promise.all(found.map(costOf));
  const seconds = Number(options.seconds);
  const rows = found.map(({ node, name }, index) => {
    const [first, last] = [before[index], after[index]];
    if (first === undefined || last === undefined) throw new TypeError('a process without its cost');
    return [
      name,
      node,
      `${last.resident.toFixed(0)} MiB`,
      `${last.anonymous.toFixed(0)} MiB`,
      (((last.seconds - first.seconds) / seconds) * 1000).toFixed(1),
      ((last.requests - first.requests) / seconds).toFixed(2),
    ];
  });
  const columns = ['PROCESS', 'NODE', 'RESIDENT', 'ANONYMOUS', 'MILLICORES', 'REQUESTS/S'];
  process.stdout.write(alignTable({ columns, rows: rows.sort() }));
} finally {
  await kubectl('delete', 'namespace', NAMESPACE, '--ignore-not-found', '--wait');
}
