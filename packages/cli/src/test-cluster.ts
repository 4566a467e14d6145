/** For tests of commands: an API server with nodes and pods of ours, and a kubeconfig that leads to it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeApi, type FakeApiOptions } from '@sluice/kube/testing';
import { WebSocketServer } from 'ws';

export interface TestCluster extends AsyncDisposable {
  readonly api: FakeApi;
  readonly kubeconfig: string;
}

/** With an agent on each node, an operator on the first, and the DaemonSet, all of version 0.1.0. */
export async function testCluster(
  nodes: readonly string[],
  user: object = { token: 'test' },
  cluster: object = {},
  options: FakeApiOptions = {},
): Promise<TestCluster> {
  const api = await FakeApi.start(options);
  const directory = mkdtempSync(join(tmpdir(), `sluice-test-${process.pid}-`));
  const kubeconfig = join(directory, 'kubeconfig');
  const contents = {
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster: { server: api.url, ...cluster } }],
    users: [{ name: 'u', user }],
  };
  writeFileSync(kubeconfig, JSON.stringify(contents), { mode: 0o600 });
  for (const name of nodes) {
    api.store.put('nodes', { kind: 'Node', metadata: { name } });
    api.store.put('pods', podObject('agent', name));
  }
  api.store.put('pods', podObject('operator', nodes[0] ?? ''));
  api.store.put('daemonsets', workloadObject('sluice', 'agent'));
  api.store.put('deployments', workloadObject('sluice-operator', 'operator'));
  return {
    api,
    kubeconfig,
    [Symbol.asyncDispose]: async () => {
      await api[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

const imageDefault = 'localhost/sluice:0.1.0';

export function podObject(program: 'agent' | 'operator', node: string, { image = imageDefault, ready = true } = {}) {
  return {
    kind: 'Pod',
    metadata: {
      namespace: 'kube-system',
      name: `sluice-${program}-${node}`,
      labels: { 'app.kubernetes.io/name': `sluice-${program}` },
    },
    spec: { nodeName: node, containers: [{ name: program, image }] },
    status: {
      phase: ready ? 'Running' : 'Pending',
      containerStatuses: [
        {
          ready,
          imageID: ready ? 'sha256:a' : '',
          ...(!ready && { state: { waiting: { reason: 'ImagePullBackOff', message: 'no such image' } } }),
        },
      ],
    },
  };
}

function workloadObject(name: string, program: string) {
  return {
    metadata: {
      namespace: 'kube-system',
      name,
      labels: { 'app.kubernetes.io/name': `sluice-${program}`, 'helm.sh/chart': 'sluice-0.1.0' },
    },
    spec: { template: { spec: { containers: [{ name: program, image: imageDefault }] } } },
  };
}

/** A command in a pod: writes what it says, and returns how it ends. Throwing refuses it, as a node does that is away. */
export type TestCommand = (
  pod: string,
  command: readonly string[],
  out: { readonly write: (bytes: Uint8Array | string) => void; readonly error: (text: string) => void },
) => Promise<number>;

/** `pods/exec` of an API server, as kubelets answer it; `authorization` is what each of them came with. */
export function serveCommands(api: FakeApi, run: TestCommand): { readonly authorization: (string | undefined)[] } {
  const served = { authorization: [] as (string | undefined)[] };
  const server = new WebSocketServer({ noServer: true });
  api.upgrade = (request, socket, head) => {
    served.authorization.push(request.headers.authorization);
    const url = new URL(request.url ?? '', 'http://fake');
    const pod = /\/pods\/([^/]+)\/exec$/.exec(url.pathname)?.[1] ?? '';
    server.handleUpgrade(request, socket, head, (connection) => {
      const send = (channel: number, bytes: Uint8Array | string) =>
        connection.send(Buffer.concat([Buffer.from([channel]), Buffer.from(bytes)]));
      const out = {
        write: (bytes: Uint8Array | string) => send(1, bytes),
        error: (text: string) => send(2, text),
      };
      run(pod, url.searchParams.getAll('command'), out).then(
        (exitCode) => {
          send(3, JSON.stringify(exitCode === 0 ? { status: 'Success' } : failure(exitCode)));
          connection.close();
        },
        () => connection.terminate(),
      );
    });
  };
  return served;
}

const failure = (exitCode: number) => ({
  status: 'Failure',
  details: { causes: [{ reason: 'ExitCode', message: `${exitCode}` }] },
});
