import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { installationRoot } from '@sluice/runtime';
import { askDaemon } from '../daemon/control.ts';
import { LabError } from '../error.ts';
import { callProgram, runOnTerminal } from '../host/program.ts';
import { nameOption } from '../layout.ts';
import { isReady, problemLines } from '../readiness.ts';
import { connectivityEnvironment } from './connectivity.ts';
import type { LabContext } from './context.ts';
import { exec, kubectlEnvironment, kubectlProgram } from './exec.ts';
import { Patience } from './patience.ts';
import { homelabDirectory } from './plan.ts';
import type { ExistingReport } from './up.ts';

const pollMs = 40;

/** The homelab's objects and the sample workload, the connectivity test, the status, and what to try next. */
export async function demo({ layout, topology, progress }: ExistingReport, context: LabContext): Promise<number> {
  const { print, environment } = context;
  await applyHomelab(layout.kubeconfig);
  const applied = await askDaemon(layout.socket, '/apply', [join(installationRoot(), 'examples/demo')]);
  if (!applied) throw new LabError("the lab's daemon does not answer", { hint: `its log: ${layout.logs}/daemon.log` });
  if (applied.created > 0) {
    progress(`sample workload: created ${applied.created} objects`);
    // Not `default`: its users' pods are there, too, and may be as they like.
    const namespaces = applied.namespaces.filter((namespace) => namespace !== 'default');
    await untilPodsReady(layout.socket, ['kube-system', ...namespaces], progress);
  } else {
    progress('sample workload: is there');
  }

  const sluice = join(installationRoot(), 'bin/sluice');
  print('');
  print('Connectivity test:');
  const test = await runOnTerminal(sluice, ['connectivity', 'test', '--keep'], {
    ...environment,
    ...connectivityEnvironment(layout.name, topology),
    KUBECONFIG: layout.kubeconfig,
  });
  print('');
  const [first] = topology.nodes;
  if (first) await exec(layout.name, first.name, [sluice, 'status', '--wait'], context);
  for (const line of whatNext(layout.name, layout.kubeconfig)) print(line);
  return test;
}

/** As its operator would: with kubectl, the files unchanged. */
async function applyHomelab(kubeconfig: string): Promise<void> {
  const files = ['lb-pool.yaml', 'l2-policy.yaml'].flatMap((file) => ['-f', join(homelabDirectory(), file)]);
  await callProgram(kubectlProgram(), ['apply', ...files], {
    environment: { PATH: process.env.PATH ?? '', ...kubectlEnvironment(kubeconfig) },
  });
}

async function untilPodsReady(
  socket: string,
  namespaces: readonly string[],
  progress: (text: string) => void,
): Promise<void> {
  const patience = new Patience(performance.now());
  let report = await askDaemon(socket, '/report');
  while (!patience.isOver(performance.now())) {
    if (report) patience.see(report, performance.now());
    if (report && isReady(report, namespaces)) {
      progress(`pods: ${report.pods.ready} ready, ${report.services} services in ${report.namespaces} namespaces`);
      return;
    }
    await delay(pollMs);
    report = await askDaemon(socket, '/report');
  }
  throw new LabError(
    [
      `the sample workload is not ready, and has come no further for ${patience.lastsMs / 1000} s:`,
      ...problemLines(report, namespaces),
    ].join('\n  '),
  );
}

function whatNext(name: string, kubeconfig: string): string[] {
  const option = nameOption(name);
  return [
    '',
    'The lab runs in the background. Try:',
    `  export KUBECONFIG=${kubeconfig}      # then kubectl works, also yours`,
    `  npx sluice lab kubectl${option} get pods -A -o wide`,
    `  npx sluice lab exec${option} k8s-cp1 -- sluice service list`,
    `  npx sluice lab exec${option} k8s-cp1 -- sluice monitor --type drop`,
    `  npx sluice lab exec${option} monitoring/grafana -- client http gitlab.gitlab 80 --count 5`,
    `  npx sluice lab exec${option} k8s-cp1 -- client tcp 198.51.100.10 80    # the internet tells whom it saw`,
    `  npx sluice lab shell${option} monitoring/grafana    # a terminal in a pod`,
    `  npx sluice lab node kill${option} k8s-cp3           # and start; or: lab link cut k8s-cp3, and heal`,
    `  npx sluice lab exec${option} k8s-cp1 -- sluice connectivity test    # and takes its pods away, namespace sluice-test`,
    `  npx sluice lab status${option}`,
    `  npx sluice lab down${option}           # removes all of it`,
  ];
}
