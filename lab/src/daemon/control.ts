import { rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { LabError, messageOf } from '../error.ts';

/** What the daemon tells about the lab. */
export interface LabReport {
  /** What it is doing: `starting the API server`, ..., `running`. */
  readonly stage: string;
  /** Which build the daemon and its processes run (see `presentBuild`); undefined from builds of before this was told. */
  readonly build: string | undefined;
  readonly kubeconfig: string;
  readonly nodes: readonly NodeReport[];
  readonly pods: {
    readonly total: number;
    readonly ready: number;
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
}

export interface NodeReport {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly podCidrs: readonly string[];
  readonly pods: number;
  readonly ready: boolean;
  readonly why: string | undefined;
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
      try {
        if (incoming.url === '/report') answer(200, actions.report());
        else if (incoming.url === '/apply') answer(200, actions.apply(JSON.parse(text)));
        else answer(404, { message: `unknown request ${incoming.url}` });
      } catch (error) {
        answer(500, { message: messageOf(error) });
      }
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

/** Asks the daemon of a lab; undefined when none answers. */
export async function askDaemon(path: string, url: '/report'): Promise<LabReport | undefined>;
export async function askDaemon(path: string, url: '/apply', body: readonly string[]): Promise<Applied | undefined>;
export async function askDaemon(path: string, url: string, body?: unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath: path, path: url, method: 'POST', timeout: 20_000 }, (incoming) => {
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
