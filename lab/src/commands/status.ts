import { stringify } from 'yaml';
import { askDaemon, type LabReport } from '../daemon/control.ts';
import { LabError } from '../error.ts';
import { presentBuild } from '../host/build.ts';
import { readPidFile } from '../host/process-id.ts';
import { faultLines, isReady, problemLines } from '../readiness.ts';
import { readSettings } from '../settings.ts';
import { existingLab, foreignRoot, type LabContext } from './context.ts';

export type StatusFormat = 'text' | 'json' | 'yaml';

/** Prints what is up; fails when the lab itself is not whole. What its users run is shown, whatever it is like. */
export async function status(name: string, format: StatusFormat, { print }: LabContext): Promise<void> {
  const { layout } = existingLab(name);
  const report = await askDaemon(layout.socket, '/report');
  if (!report) {
    const daemon = readPidFile(layout.pidFile);
    throw new LabError(
      `lab ${name}: ${daemon ? `the daemon (process ${daemon.pid}) does not answer` : 'the daemon does not run'}`,
      {
        hint: `sluice lab up --name ${name} repairs it; logs: ${layout.logs}`,
      },
    );
  }
  // A daemon of before there was one tells less than is read below.
  if (report.build === undefined) throw new LabError(`lab ${name} runs an earlier build`, { hint: restartHint(name) });
  const settings = readSettings(layout);
  const whole = { name, ...(settings && { settings }), isReady: isReady(report), ...report };
  if (format === 'json') print(JSON.stringify(whole, null, 2));
  else if (format === 'yaml') print(stringify(whole).trimEnd());
  else for (const line of statusLines(name, report, settings && foreignRoot(settings))) print(line);
  if (!isReady(report)) throw new LabError(['not everything is ready:', ...problemLines(report)].join('\n  '));
}

function restartHint(name: string): string {
  return `sluice lab up --name ${name} restarts it`;
}

function statusLines(name: string, report: LabReport, otherRoot: string | undefined): string[] {
  const { nodes, pods, services, namespaces, processes, stage } = report;
  const width = Math.max(...nodes.map((node) => node.addresses.join(' ').length), 9);
  return [
    `lab ${name}: ${stage}; ${pods.ready} of ${pods.total} pods ready, ${services} services, ${namespaces} namespaces`,
    ...(otherRoot === undefined
      ? []
      : [`  belongs to another checkout, ${otherRoot}; for one of your own: sluice lab up --name OTHER`]),
    ...(otherRoot === undefined && report.build !== presentBuild()
      ? [`  runs another build than the present one; ${restartHint(name)}`]
      : []),
    ...nodes.map((node) => {
      const state = node.off ? 'off      ' : node.ready ? 'ready    ' : 'NOT READY';
      return `  ${node.name.padEnd(8)} ${state}  ${node.addresses.join(' ').padEnd(width)}  ${String(node.pods).padStart(3)} pods  ${node.podCidrs.join(' ')}`;
    }),
    ...processes.map(({ name: process, pid, restartCount }) => {
      return `  ${process.padEnd(14)} ${pid ? `process ${pid}` : 'not running'}${restartCount > 0 ? `, restarted ${restartCount === 1 ? 'once' : `${restartCount} times`}` : ''}`;
    }),
    ...faultLines(report, name).map((line) => `  ${line}`),
    ...pods.notReady.map(({ text }) => `  not ready: pod ${text}`),
    `  KUBECONFIG=${report.kubeconfig}`,
  ];
}
