import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { diagnosisLines, examineMachine, hasErrors } from '@sluice/doctor';
import { askDaemon, type LabReport } from '../daemon/control.ts';
import { LabError } from '../error.ts';
import { readFaults } from '../faults.ts';
import { presentBuild } from '../host/build.ts';
import { killCgroup, labCgroup, makeCgroup } from '../host/cgroup.ts';
import { ensureMounted } from '../host/mounts.ts';
import { ensureNetwork, type MadeNetwork } from '../host/network.ts';
import { endProcess, isRunning, type ProcessId, processId, readPidFile } from '../host/process-id.ts';
import { labRun, processEntry } from '../host/program.ts';
import { type LabLayout, labLayout } from '../layout.ts';
import { faultLines, isReady, problemLines } from '../readiness.ts';
import { type LabSettings, writeSettings } from '../settings.ts';
import { inOrder, type LabTopology, labTopology, lanName } from '../topology.ts';
import { type LabContext, withLock } from './context.ts';
import { Patience } from './patience.ts';
import { freePort, keepPlan, planOf, type UpOptions } from './plan.ts';

const pollMs = 40;
const daemonGraceMs = 5_000;

/** Makes the lab, or what of it is missing. Leaves it running in the background. */
export async function up(options: UpOptions, context: LabContext): Promise<ExistingReport> {
  const layout = labLayout(options.name);
  const machine = examineMachine();
  if (hasErrors(machine))
    throw new LabError(['this machine cannot run the lab:', ...diagnosisLines(machine)].join('\n  '));
  for (const line of diagnosisLines(machine)) context.print(`  doctor: ${line}`);
  return withLock(layout, async () => {
    const began = performance.now();
    const progress = (text: string) =>
      context.print(`${((performance.now() - began) / 1000).toFixed(1).padStart(5)} s  ${text}`);
    const plan = await planOf(layout, options);
    const { settings } = plan;
    const topology = labTopology(settings);
    for (const change of plan.fresh?.changes ?? []) progress(`values changed: ${change}`);
    await ensureMounted('tmpfs', layout.directory);
    await ensureMounted('bpf', layout.bpffs);
    keepPlan(layout, plan);
    for (const directory of [layout.logs, dirname(layout.netns(lanName))]) mkdirSync(directory, { recursive: true });
    for (const node of topology.nodes) makeCgroup(join(labCgroup(layout.name), node.name));
    const made = await ensureNetwork(layout, topology, readFaults(layout));
    if (made.length > 0) progress(`network: made ${made.map(({ text }) => text).join(', ')}`);
    await startAfresh(layout, topology, made);
    await endOtherBuild(layout, progress);
    const running = readPidFile(layout.pidFile);
    const daemon = running ?? (await startDaemon(layout, await withFreePort(layout, settings, progress)));
    if (!running) progress('API server and kubelets: started in the background');
    const report = await untilReady(layout, daemon, progress);
    const broken = faultLines(report, layout.name);
    if (made.length === 0 && running)
      progress(`nothing to do: everything is up${broken.length > 0 ? ', but for what somebody has broken:' : ''}`);
    for (const line of broken) progress(line);
    return { layout, topology, report, progress };
  });
}

export interface ExistingReport {
  readonly layout: LabLayout;
  readonly topology: LabTopology;
  readonly report: LabReport;
  /** Prints a line with the time since the command began. */
  readonly progress: (text: string) => void;
}

/**
 * The daemon listens in the LAN, and agents run on nodes: those of a namespace that is no more are of no use. A node with a new
 * one has booted, so to speak, and has no pins and no state.
 */
async function startAfresh(layout: LabLayout, { nodes }: LabTopology, made: readonly MadeNetwork[]): Promise<void> {
  const names = new Set(made.filter(({ isNew }) => isNew).map(({ name }) => name));
  const newNodes = nodes.filter(({ name }) => names.has(name));
  const daemon = readPidFile(layout.pidFile);
  if (daemon && (newNodes.length > 0 || names.has(lanName))) await endProcess(daemon, daemonGraceMs);
  for (const { name } of newNodes) {
    const { bpffs, stateDirectory } = layout.node(name);
    for (const directory of [bpffs, stateDirectory]) rmSync(directory, { recursive: true, force: true });
  }
  // Servers outside are started again where they are missed.
  const others = [...names].filter((name) => !newNodes.some((node) => node.name === name));
  for (const name of others) await killCgroup(join(labCgroup(layout.name), name));
}

/** Pods and attached programs outlive what is ended here; the next daemon starts agents and operator of the present build. */
async function endOtherBuild(layout: LabLayout, progress: (text: string) => void): Promise<void> {
  const daemon = readPidFile(layout.pidFile);
  const report = daemon && (await askDaemon(layout.socket, '/report'));
  if (!daemon || !report || report.build === presentBuild()) return;
  progress('a new build: restarting daemon, agents and operator (pods and their traffic go on)');
  await endProcess(daemon, daemonGraceMs);
}

/** Somebody else may have taken the lab's port of 127.0.0.1 while no daemon held it. */
async function withFreePort(
  layout: LabLayout,
  settings: LabSettings,
  progress: (text: string) => void,
): Promise<LabTopology> {
  const isFree = await freePort(settings.localPort).catch(() => undefined);
  if (!isFree) {
    const localPort = await freePort();
    progress(
      `port ${settings.localPort} of 127.0.0.1 is taken: the API server is at ${localPort} now, see the kubeconfig`,
    );
    writeSettings(layout, { ...settings, localPort });
  }
  return labTopology(settings);
}

async function startDaemon(layout: LabLayout, { apiServer, apiServerPort }: LabTopology): Promise<ProcessId> {
  // What an earlier daemon left of its own: its agents end with it, pods go on and are found again.
  await killCgroup(join(labCgroup(layout.name), 'daemon'));
  // Nobody shall take it for the new one's.
  rmSync(layout.pidFile, { force: true });
  const lan = layout.netns(lanName);
  const listen = inOrder(apiServer).flatMap((address) => ['--listen', `${lan},${address},${apiServerPort}`]);
  const log = openSync(join(layout.logs, 'daemon.log'), 'a', 0o644);
  const command = [process.execPath, processEntry('lab.js', 'lab/src/main.ts'), layout.name];
  const cgroup = join(labCgroup(layout.name), 'daemon');
  const child = spawn(labRun, ['exec', ...listen, '--cgroup', cgroup, '--', ...command], {
    stdio: ['ignore', log, log],
    detached: true,
    cwd: '/',
  });
  closeSync(log);
  child.unref();
  // The launcher becomes the daemon: it is the same process.
  const id = child.pid === undefined ? undefined : processId(child.pid);
  if (!id) throw new LabError(`the lab's daemon could not be started: ${lastLines(layout)}`);
  return id;
}

async function untilReady(layout: LabLayout, daemon: ProcessId, progress: (text: string) => void): Promise<LabReport> {
  const patience = new Patience(performance.now());
  let said = '';
  let report: LabReport | undefined;
  while (!patience.isOver(performance.now())) {
    report = await askDaemon(layout.socket, '/report');
    if (report) {
      patience.see(report, performance.now());
      const step = progressStep(report);
      if (step !== said) progress(progressLine(report));
      said = step;
      if (isReady(report)) return report;
    } else if (!isRunning(daemon)) {
      throw new LabError(`the lab's daemon has ended: ${lastLines(layout)}`, {
        hint: `its log: ${layout.logs}/daemon.log`,
      });
    }
    await delay(pollMs);
  }
  throw new LabError(
    [
      `the lab is not ready, and has come no further for ${Math.round(patience.lastsMs / 1000)} s:`,
      ...problemLines(report),
    ].join('\n  '),
    {
      hint: `it goes on trying; look again with: sluice lab status --name ${layout.name}; logs: ${layout.logs}`,
    },
  );
}

function progressLine({ stage, nodes, pods }: LabReport): string {
  if (stage !== 'running') return stage;
  const ready = nodes.filter((node) => node.ready).length;
  return `nodes ready: ${ready} of ${nodes.length}, pods ready: ${pods.ready} of ${pods.total}`;
}

/** A line for each of them would be many: for each quarter is enough. */
function progressStep({ stage, nodes, pods }: LabReport): string {
  return `${stage} ${quarters(nodes.filter((node) => node.ready).length, nodes.length)} ${quarters(pods.ready, pods.total)}`;
}

function quarters(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.floor((4 * part) / whole);
}

function lastLines(layout: LabLayout): string {
  const text = readFileSync(join(layout.logs, 'daemon.log'), 'utf8').trimEnd();
  return text.split('\n').slice(-3).join('\n  ');
}
