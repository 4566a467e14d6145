import assert from 'node:assert/strict';
import { type ChildProcess, execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startFakeKubelet } from '../controllers/fake-kubelet.ts';
import { startControllers } from '../controllers/index.ts';
import { kubectlPath } from '../kubectl.ts';
import type { PodHooks } from './server.ts';
import { startTestServer, type TestServer } from './test-server.ts';

export const repositoryRoot = fileURLToPath(new URL('../../..', import.meta.url));

export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** The real kubectl against a server of its own, with the controllers and a kubelet that starts everything at once. */
export interface TestKubectl extends AsyncDisposable {
  readonly api: TestServer;
  /** What every call begins with. */
  readonly command: readonly string[];
  /** Prints, or fails the test. */
  kubectl(args: readonly string[], stdin?: string): Promise<string>;
  /** What it complains of; fails the test when it does not. */
  refused(args: readonly string[], stdin?: string): Promise<string>;
  start(args: readonly string[], options?: StartOptions): { child: ChildProcess; outcome: Promise<Outcome> };
}

export interface StartOptions {
  stdin?: string | undefined;
  env?: Record<string, string>;
}

export async function startTestKubectl(
  options: { hooks?: PodHooks; nodes?: readonly string[]; historyMax?: number } = {},
): Promise<TestKubectl> {
  const api = await startTestServer(options);
  const { store } = api.server;
  const running = [
    startControllers(store, { apiServer: { address: '10.10.30.10', port: 6443 } }),
    startFakeKubelet(store, options.nodes ?? ['n1', 'n2', 'n3']),
  ];
  const command = ['--kubeconfig', api.server.kubeconfig, '--cache-dir', join(api.directory, 'cache')];
  const start: TestKubectl['start'] = (args, { stdin, env } = {}) => {
    let child: ChildProcess | undefined;
    const outcome = new Promise<Outcome>((resolve) => {
      child = execFile(
        kubectlPath(repositoryRoot),
        [...command, ...args],
        { env: { ...process.env, ...env } },
        (error, stdout, stderr) =>
          resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr }),
      );
      child.stdin?.end(stdin);
    });
    if (!child) throw new Error('kubectl did not start');
    return { child, outcome };
  };
  return {
    api,
    command,
    start,
    async kubectl(args, stdin) {
      const { code, stdout, stderr } = await start(args, { stdin }).outcome;
      assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}${stdout}`);
      return stdout;
    },
    async refused(args, stdin) {
      const { code, stderr } = await start(args, { stdin }).outcome;
      assert.notEqual(code, 0, `kubectl ${args.join(' ')} was not refused`);
      return stderr;
    },
    async [Symbol.asyncDispose]() {
      for (const part of running) part[Symbol.dispose]();
      await api[Symbol.asyncDispose]();
    },
  };
}
