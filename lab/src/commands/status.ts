import { askDaemon, type LabReport } from '../daemon/control.ts';
import { LabError } from '../error.ts';
import { readPidFile } from '../host/process-id.ts';
import type { LabContext } from './context.ts';
import { existingLab } from './context.ts';
import { isReady, problemLines } from './up.ts';

/** Prints what is up; fails when the lab is not whole. */
export async function status(name: string, { print }: LabContext): Promise<void> {
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
  for (const line of statusLines(name, report)) print(line);
  if (!isReady(report)) throw new LabError(['not everything is ready:', ...problemLines(report)].join('\n  '));
}

export function statusLines(name: string, report: LabReport): string[] {
  const { nodes, pods, services, namespaces, processes, stage } = report;
  const width = Math.max(...nodes.map((node) => node.addresses.join(' ').length), 9);
  return [
    `lab ${name}: ${stage}; ${pods.ready} of ${pods.total} pods ready, ${services} services, ${namespaces} namespaces`,
    ...nodes.map((node) => {
      const state = node.ready ? 'ready    ' : 'NOT READY';
      return `  ${node.name.padEnd(8)} ${state}  ${node.addresses.join(' ').padEnd(width)}  ${String(node.pods).padStart(3)} pods  ${node.podCidrs.join(' ')}`;
    }),
    ...processes.map(({ name: process, pid, restartCount }) => {
      return `  ${process.padEnd(14)} ${pid ? `process ${pid}` : 'not running'}${restartCount > 0 ? `, restarted ${restartCount} times` : ''}`;
    }),
    `  KUBECONFIG=${report.kubeconfig}`,
  ];
}
