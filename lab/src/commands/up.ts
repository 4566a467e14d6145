import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readValues } from '@sluice/config';
import { formatMachineReport, installationRoot, machineReport, writeFileAtomic } from '@sluice/runtime';
import { askDaemon, type LabReport } from '../daemon/control.ts';
import { LabError, messageOf } from '../error.ts';
import { presentBuild } from '../host/build.ts';
import { killCgroup, labCgroup, makeCgroup } from '../host/cgroup.ts';
import { ensureMounted } from '../host/mounts.ts';
import { ensureNetwork, lanName } from '../host/network.ts';
import { endProcess, isRunning, type ProcessId, processId, readPidFile } from '../host/process-id.ts';
import { labRun, processEntry } from '../host/program.ts';
import { type LabLayout, labLayout } from '../layout.ts';
import { isReady, problemLines } from '../readiness.ts';
import { type LabSettings, readSettings, writeSettings } from '../settings.ts';
import { type LabTopology, labTopology } from '../topology.ts';
import { foreignRoot, type LabContext, withLock } from './context.ts';

export interface UpOptions {
  readonly name: string;
  /** Default: as many as the lab has, or 3. */
  readonly nodes: number | undefined;
  /** Default: those that the lab has, or the homelab's. */
  readonly values: string | undefined;
}

const nodesDefault = 3;
const pollMs = 40;
const patienceMs = 60_000;
const daemonGraceMs = 5_000;

/** Makes the lab, or what of it is missing. Leaves it running in the background. */
export async function up(options: UpOptions, context: LabContext): Promise<ExistingReport> {
  const layout = labLayout(options.name);
  const machine = machineReport();
  if (!machine.suitable) throw new LabError(`this machine cannot run the lab:\n${formatMachineReport(machine)}`);
  return withLock(layout, async () => {
    const began = performance.now();
    const progress = (text: string) =>
      context.print(`${((performance.now() - began) / 1000).toFixed(1).padStart(5)} s  ${text}`);
    // Whatever is refused is refused before anything is made.
    const { settings, values } = existingPlan(layout, options) ?? (await newPlan(options));
    const topology = labTopology(settings);
    await ensureMounted('tmpfs', layout.directory);
    await ensureMounted('bpf', layout.bpffs);
    if (values !== undefined) keepPlan(layout, { settings, values });
    for (const directory of [layout.logs, dirname(layout.netns(lanName))]) mkdirSync(directory, { recursive: true });
    for (const node of topology.nodes) makeCgroup(join(labCgroup(layout.name), node.name));
    const made = await ensureNetwork(layout, topology);
    if (made.length > 0) progress(`network: made ${made.map(({ text }) => text).join(', ')}`);
    await startAfresh(
      layout,
      made.filter(({ isNew }) => isNew).map(({ name }) => name),
    );
    await endOtherBuild(layout, progress);
    const running = readPidFile(layout.pidFile);
    const daemon = running ?? (await startDaemon(layout, topology));
    if (!running) progress('API server and kubelets: started in the background');
    const report = await untilReady(layout, daemon, progress);
    if (made.length === 0 && running) progress('nothing to do: everything is up');
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

/** The homelab's files, unchanged. */
export function homelabDirectory(): string {
  return join(installationRoot(), 'examples/homelab');
}

/** What the lab is made with; `values` is the text to keep of a new one's. */
interface Plan {
  readonly settings: LabSettings;
  readonly values: string | undefined;
}

function existingPlan(layout: LabLayout, options: UpOptions): Plan | undefined {
  const settings = readSettings(layout);
  if (!settings) return undefined;
  refuseOthers(layout, settings);
  refuseChanges(layout, settings, options);
  return { settings, values: undefined };
}

async function newPlan(options: UpOptions): Promise<Plan> {
  const path = resolve(options.values ?? join(homelabDirectory(), 'values.yaml'));
  const text = readValuesText(path);
  const { values } = readValues(path);
  const settings = {
    root: installationRoot(),
    nodeCount: options.nodes ?? nodesDefault,
    device: deviceName(values.devices),
    apiServerHost: values.k8sServiceHost || '10.10.30.10',
    apiServerPort: Number(values.k8sServicePort || 6443),
    localPort: await freePort(),
  };
  return { settings, values: text };
}

/** The settings last: with them, the lab is there. */
function keepPlan(layout: LabLayout, { settings, values }: { settings: LabSettings; values: string }): void {
  writeFileAtomic(layout.valuesFile, values, { mode: 0o644 });
  writeSettings(layout, settings);
}

function readValuesText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new LabError(`the values cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

function refuseOthers({ name }: LabLayout, settings: LabSettings): void {
  const other = foreignRoot(settings);
  if (other === undefined) return;
  throw new LabError(`lab ${name} belongs to another checkout, ${other}; this one is ${installationRoot()}`, {
    hint: [
      'give this one a lab with another name: sluice lab up --name OTHER, or npm run lab -- --name OTHER',
      `or take the other down: sluice lab down --name ${name}`,
    ].join('\n  '),
  });
}

function refuseChanges(layout: LabLayout, settings: LabSettings, { nodes, values }: UpOptions): void {
  const hint = `take it down first (sluice lab down --name ${layout.name}), or give another --name`;
  if (nodes !== undefined && nodes !== settings.nodeCount) {
    throw new LabError(`lab ${layout.name} is there with ${settings.nodeCount} nodes, not ${nodes}`, { hint });
  }
  if (values !== undefined && readValuesText(values) !== readFileSync(layout.valuesFile, 'utf8')) {
    throw new LabError(`lab ${layout.name} is there with other values than ${values}`, { hint });
  }
}

/** Nodes get one device, of the first name that the values give. */
function deviceName(devices: readonly string[] | string | undefined): string {
  const [first = ''] = typeof devices === 'string' ? devices.split(/[\s,]+/) : (devices ?? []);
  const name = first.replace(/\+$/, '0');
  return /^[a-z][a-z0-9.]{0,14}$/.test(name) ? name : 'eno1';
}

/** A port of 127.0.0.1 that nobody listens on at this moment. */
function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

/**
 * The daemon listens in the LAN, and agents run on nodes: those of a namespace that is no more are of no use. A node with a new
 * one has booted, so to speak, and has no pins and no state.
 */
async function startAfresh(layout: LabLayout, namespaces: readonly string[]): Promise<void> {
  const daemon = readPidFile(layout.pidFile);
  if (daemon && namespaces.length > 0) await endProcess(daemon, daemonGraceMs);
  for (const name of namespaces) {
    const { bpffs, stateDirectory } = layout.node(name);
    for (const directory of [bpffs, stateDirectory]) rmSync(directory, { recursive: true, force: true });
  }
}

/** Pods and attached programs outlive what is ended here; the next daemon starts agents and operator of the present build. */
async function endOtherBuild(layout: LabLayout, progress: (text: string) => void): Promise<void> {
  const daemon = readPidFile(layout.pidFile);
  const report = daemon && (await askDaemon(layout.socket, '/report'));
  if (!daemon || !report || report.build === presentBuild()) return;
  progress('a new build: restarting daemon, agents and operator (pods and their traffic go on)');
  await endProcess(daemon, daemonGraceMs);
}

async function startDaemon(
  layout: LabLayout,
  { apiServer4, apiServer6, apiServerPort }: LabTopology,
): Promise<ProcessId> {
  // What an earlier daemon left of its own: its agents end with it, pods go on and are found again.
  await killCgroup(join(labCgroup(layout.name), 'daemon'));
  // Nobody shall take it for the new one's.
  rmSync(layout.pidFile, { force: true });
  const lan = layout.netns(lanName);
  const listen = [apiServer4, apiServer6].flatMap((address) => ['--listen', `${lan},${address},${apiServerPort}`]);
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
  const deadline = performance.now() + patienceMs;
  let said = '';
  let report: LabReport | undefined;
  while (performance.now() < deadline) {
    report = await askDaemon(layout.socket, '/report');
    if (report) {
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
  throw new LabError(['the lab is not ready after 60 s:', ...problemLines(report)].join('\n  '), {
    hint: `it goes on trying; look again with: sluice lab status --name ${layout.name}; logs: ${layout.logs}`,
  });
}

function progressLine({ stage, nodes, pods }: LabReport): string {
  if (stage !== 'running') return stage;
  const ready = nodes.filter((node) => node.ready).length;
  return `nodes ready: ${ready} of ${nodes.length}, pods ready: ${pods.ready} of ${pods.total}`;
}

/** A line for each pod would be many: for each quarter of them is enough. */
function progressStep({ stage, nodes, pods }: LabReport): string {
  const quarter = pods.total === 0 ? 0 : Math.floor((4 * pods.ready) / pods.total);
  return `${stage} ${nodes.filter((node) => node.ready).length} ${quarter}`;
}

function lastLines(layout: LabLayout): string {
  const text = readFileSync(join(layout.logs, 'daemon.log'), 'utf8').trimEnd();
  return text.split('\n').slice(-3).join('\n  ');
}
