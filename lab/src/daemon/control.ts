import { rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { LabError, messageOf } from '../error.ts';
import type { NodeOff } from '../faults.ts';
import type { Done, LinkAction, NodeAction } from './machines.ts';

/** What the daemon tells about the lab. */
export interface LabReport {
  /** What it is doing: `starting the API server`, ..., `running`. */
  readonly stage: string;
  /** Which build the daemon and its processes run (see `presentBuild`); undefined from builds of before this was told. */
  readonly build: string | undefined;
  readonly kubeconfig: string;
  readonly nodes: readonly NodeReport[];
  readonly pods: PodCount & {
    readonly byNamespace: Readonly<Record<string, PodCount>>;
    /** The first few of each namespace, each with the reason. */
    readonly notReady: readonly { readonly namespace: string; readonly text: string }[];
  };
  readonly services: number;
  readonly namespaces: number;
  readonly processes: readonly ProcessReport[];
}

export interface PodCount {
  readonly total: number;
  readonly ready: number;
  /** Of the others, those on nodes that somebody has switched off or cut off. */
  readonly out: number;
}

export interface NodeReport {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly podCidrs: readonly string[];
  readonly pods: number;
  readonly ready: boolean;
  readonly why: string | undefined;
  /** Somebody has switched it off. */
  readonly off: NodeOff | undefined;
  /** Devices whose cable somebody has cut. */
  readonly cut: readonly string[];
  /** One or the other, so that nobody hears of it. */
  readonly isCutOff: boolean;
}

export interface ProcessReport {
  readonly name: string;
  readonly pid: number | undefined;
  readonly restartCount: number;
  readonly lastExit: string | undefined;
}

export interface Applied {
  readonly created: number;
  /** Where workloads are among the objects. */
  readonly namespaces: readonly string[];
}

export interface ControlActions {
  report(): LabReport;
  /** Creates the objects of these files and folders that are not there yet. */
  apply(paths: readonly string[]): Applied;
  node(name: string, action: NodeAction): Promise<Done>;
  link(name: string, action: LinkAction, device: string | undefined): Promise<Done>;
}

export interface NodeRequest {
  readonly name: string;
  readonly action: NodeAction;
}

export interface LinkRequest {
  readonly name: string;
  readonly action: LinkAction;
  readonly device: string | undefined;
}

const requestBytesMax = 1 << 20;

/** Serves the lab's own commands on a unix socket that only root can open. */
export function startControl(path: string, actions: ControlActions): Promise<{ stop(): void }> {
  rmSync(path, { force: true });
  const server = createServer((incoming, outgoing) => {
    const answer = (status: number, body: unknown) => {
      outgoing.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    let text = '';
    incoming.on('data', (chunk) => {
      text += chunk;
      if (text.length > requestBytesMax) incoming.destroy();
    });
    incoming.on('end', () => {
      perform(actions, incoming.url ?? '', text).then(
        (result) => answer(200, result),
        (error: unknown) => answer(500, { message: messageOf(error) }),
      );
    });
  });
  const maskBefore = process.umask(0o177);
  return new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(path, () => {
      process.umask(maskBefore);
      resolve({ stop: () => void server.close() });
    });
  });
}

async function perform(actions: ControlActions, url: string, text: string): Promise<unknown> {
  if (url === '/report') return actions.report();
  const body = JSON.parse(text);
  switch (url) {
    case '/apply':
      return actions.apply(body);
    case '/node':
      return actions.node(body.name, body.action);
    case '/link':
      return actions.link(body.name, body.action, body.device);
    default:
      throw new LabError(`unknown request ${url}`);
  }
}

// A node that is stopped gives its pods half a minute.
const answerMsMax = 60_000;

/** Asks the daemon of a lab; undefined when none answers. */
export async function askDaemon(path: string, url: '/report'): Promise<LabReport | undefined>;
export async function askDaemon(path: string, url: '/apply', body: readonly string[]): Promise<Applied | undefined>;
export async function askDaemon(path: string, url: '/node', body: NodeRequest): Promise<Done | undefined>;
export async function askDaemon(path: string, url: '/link', body: LinkRequest): Promise<Done | undefined>;
export async function askDaemon(path: string, url: string, body?: unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath: path, path: url, method: 'POST', timeout: answerMsMax }, (incoming) => {
      let text = '';
      incoming.on('data', (chunk) => {
        text += chunk;
      });
      incoming.on('end', () => {
        const answer = JSON.parse(text);
        if (incoming.statusCode === 200) resolve(answer);
        else reject(new LabError(answer.message));
      });
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer')));
    outgoing.on('error', () => resolve(undefined));
    outgoing.end(body === undefined ? '' : JSON.stringify(body));
  });
}
