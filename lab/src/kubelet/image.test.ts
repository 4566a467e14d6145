import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Container, Pod } from '../apiserver/index.ts';
import { labPod } from '../host/program.ts';
import { containerCommand, containerEnvironment } from './image.ts';

const facts = { nodeName: 'n1', hostAddresses: ['10.0.0.1'], podAddresses: ['10.244.0.5', 'fd00::5'] };

function pod(container: Container): Pod {
  const metadata = {
    name: 'web-0',
    namespace: 'shop',
    uid: 'u',
    resourceVersion: '1',
    creationTimestamp: '',
    labels: { app: 'web' },
  };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [container] }, status: {} };
}

test('an image is a command of lab-pod with the arguments of the container', () => {
  const container = { name: 'c', image: 'sluice-lab/echo:1', args: ['--tcp', '$(PORT)', '$$(PORT)', '$(OTHER)'] };
  assert.deepEqual(containerCommand(container, { PORT: '80' }), {
    file: labPod,
    args: ['echo', '--tcp', '80', '$(PORT)', '$(OTHER)'],
  });
});

test('a client without arguments waits for somebody to run commands in it', () => {
  assert.deepEqual(containerCommand({ name: 'c', image: 'sluice-lab/client' }, {}), { file: labPod, args: ['pause'] });
});

test('an image that the lab does not have is refused with those that it has', () => {
  const refused = containerCommand({ name: 'c', image: 'nginx:1.29' }, {});
  assert.ok('problem' in refused);
  assert.match(refused.problem, /nginx:1\.29 is not one of the lab's images: sluice-lab\/echo,/);
});

test('variables come from values, earlier variables and fields of the pod', () => {
  const container: Container = {
    name: 'c',
    image: 'sluice-lab/echo',
    env: [
      { name: 'A', value: 'x' },
      { name: 'B', value: '$(A)y' },
      { name: 'IPS', valueFrom: { fieldRef: { fieldPath: 'status.podIPs' } } },
      { name: 'APP', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
    ],
  };
  const { A, B, IPS, APP, NODE_NAME } = containerEnvironment(pod(container), container, facts);
  assert.deepEqual(
    { A, B, IPS, APP, NODE_NAME },
    { A: 'x', B: 'xy', IPS: '10.244.0.5,fd00::5', APP: 'web', NODE_NAME: 'n1' },
  );
});
