// Pods of all sorts under the real kubelet. Run by `npm run test:kubernetes`.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually, kubectlJson, on, recipe } from '../cluster.ts';
import { nothingIsLeft } from './tables.ts';
import { image, pod, testNamespace, web } from './workload.ts';

test('init containers and several containers share one network; exec, logs and port-forward work', async () => {
  await using namespace = await testNamespace('story-pods');
  const server = (name: string, port: number) => ({
    name,
    image,
    args: ['netexec', `--http-port=${port}`, `--udp-port=${port}`],
  });
  await pod({
    namespace: namespace.name,
    name: 'several',
    node: 'n2',
    spec: {
      initContainers: [
        {
          name: 'first',
          image,
          command: ['sh', '-c', 'ip -o address show eth0; nc -z 10.96.0.1 443'],
        },
        { name: 'second', image, command: ['sh', '-c', 'getent hosts kubernetes.default.svc.cluster.local'] },
      ],
      containers: [server('one', 8081), server('two', 8082), server('three', 8083)],
    },
  });
  await namespace.kubectl('wait', '--for=condition=Ready', 'pod/several', '--timeout=60s');
  for (const port of [8082, 8083])
    assert.equal(
      (await namespace.exec('several', 'curl', '-sS', `http://127.0.0.1:${port}/hostname`)).trim().split('\n').at(-1),
      'several',
    );
  assert.match(await namespace.kubectl('logs', 'several', '-c', 'first'), /10\.244\.1\.\d+\/32/);
  assert.match(await namespace.kubectl('logs', 'several', '-c', 'second'), /10\.96\.0\.1/);
  assert.equal(await throughPortForward('story-pods', 'pod/several', 8082), 'several');
});

/** By a kubectl that forwards on the control plane, and a request there. */
async function throughPortForward(namespace: string, target: string, port: number): Promise<string> {
  const local = 18_000 + Math.floor(Math.random() * 1000);
  const forwarding = spawn(
    join(recipe, 'kubectl'),
    ['--namespace', namespace, 'port-forward', target, `${local}:${port}`],
    { stdio: 'ignore' },
  );
  try {
    return (
      await eventually(15, () => on('cp', 'curl', '-sS', '-m', '3', `http://127.0.0.1:${local}/hostname`))
    ).trim();
  } finally {
    forwarding.kill();
  }
}

interface Condition {
  readonly status: {
    readonly containerStatuses: readonly { readonly restartCount: number; readonly ready: boolean }[];
  };
}

test('probes reach a pod by HTTP, TCP and exec; a liveness probe that fails restarts it, one that passes does not', async () => {
  await using namespace = await testNamespace('story-probes');
  const probe = (how: object) => ({ ...how, periodSeconds: 1, failureThreshold: 2 });
  const http = probe({ httpGet: { path: '/hostname', port: 8080 } });
  const args = ['netexec', '--http-port=8080'];
  await pod({
    namespace: namespace.name,
    name: 'http',
    args,
    container: { readinessProbe: http, livenessProbe: http },
  });
  await pod({
    namespace: namespace.name,
    name: 'tcp',
    args,
    container: { readinessProbe: probe({ tcpSocket: { port: 8080 } }) },
  });
  await pod({
    namespace: namespace.name,
    name: 'exec',
    args,
    container: { readinessProbe: probe({ exec: { command: ['curl', '-sS', 'http://127.0.0.1:8080/hostname'] } }) },
  });
  await pod({
    namespace: namespace.name,
    name: 'failing',
    args,
    container: { livenessProbe: probe({ httpGet: { path: '/hostname', port: 8081 } }) },
  });
  await namespace.kubectl('wait', '--for=condition=Ready', 'pod/http', 'pod/tcp', 'pod/exec', '--timeout=60s');
  await eventually(60, async () => assert.ok((await restarts('failing')) > 0, 'failing is restarted'));
  assert.equal(await restarts('http'), 0);

  async function restarts(name: string): Promise<number> {
    const { status } = await kubectlJson<Condition>('--namespace', namespace.name, 'get', 'pod', name);
    return status.containerStatuses[0]?.restartCount ?? 0;
  }
});

test('a pod on the host network serves, and reaches pods and services of both families', async () => {
  await using namespace = await testNamespace('story-host');
  await web({ namespace: namespace.name, name: 'web', replicas: 3 });
  await namespace.kubectl('rollout', 'status', 'deployment/web', '--timeout=60s');
  await pod({
    namespace: namespace.name,
    name: 'host',
    node: 'n3',
    spec: { hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' },
  });
  await namespace.kubectl('wait', '--for=condition=Ready', 'pod/host', '--timeout=60s');
  const { spec } = await kubectlJson<{ spec: { clusterIPs: string[] } }>(
    '--namespace',
    namespace.name,
    'get',
    'service',
    'web',
  );
  for (const address of spec.clusterIPs) {
    const host = address.includes(':') ? `[${address}]` : address;
    await eventually(10, async () =>
      assert.match(await namespace.exec('host', 'curl', '-sS', '-m', '5', `http://${host}/hostname`), /^web-/),
    );
  }
  assert.match(
    await namespace.exec('host', 'curl', '-sS', '-m', '5', 'http://web.story-host.svc.cluster.local/hostname'),
    /^web-/,
  );
  await nothingIsLeft();
});

test('a pod asks the API server as kubernetes.default with its service account', async () => {
  await using namespace = await testNamespace('story-api');
  await pod({ namespace: namespace.name, name: 'client' });
  await namespace.kubectl('wait', '--for=condition=Ready', 'pod/client', '--timeout=60s');
  const folder = '/var/run/secrets/kubernetes.io/serviceaccount';
  const ask = `curl -sS -m 5 --cacert ${folder}/ca.crt -H "Authorization: Bearer $(cat ${folder}/token)" https://kubernetes.default.svc.cluster.local/version`;
  assert.match(await namespace.exec('client', 'sh', '-c', ask), /"gitVersion": "v1\./);
});

test('a pod is reached at its host port from its own node, from another one and from a pod', async () => {
  await using namespace = await testNamespace('story-host-port');
  await pod({
    namespace: namespace.name,
    name: 'web',
    node: 'n1',
    args: ['netexec', '--http-port=8080'],
    container: { ports: [{ containerPort: 8080, hostPort: 18_080 }] },
  });
  await pod({ namespace: namespace.name, name: 'client', node: 'n2' });
  await namespace.kubectl('wait', '--for=condition=Ready', 'pod', '--all', '--timeout=60s');
  const ask = ['curl', '-sS', '-m', '5', 'http://10.10.30.101:18080/hostname'];
  assert.equal(await namespace.exec('client', ...ask), 'web');
  for (const node of ['n1', 'n2']) assert.equal(await on(node, ...ask), 'web');
  assert.equal(await on('n1', 'curl', '-sS', '-m', '5', 'http://127.0.0.1:18080/hostname'), 'web');
});
