import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../apiserver/index.ts';
import { portMappings } from './cni.ts';

function pod(spec: Partial<Pod['spec']>): Pod {
  const metadata = { name: 'web', namespace: 'default', uid: 'web', resourceVersion: '1', creationTimestamp: '' };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [], ...spec }, status: {} };
}

const ports = [
  { containerPort: 80, hostPort: 8080 },
  { containerPort: 53, hostPort: 5353, protocol: 'UDP', hostIP: '10.10.30.101' },
  { containerPort: 9090 },
] as const;

test('host ports of all containers are given to the plugin as containerd gives them', () => {
  const containers = [
    { name: 'a', image: 'x', ports: [...ports] },
    { name: 'b', image: 'x' },
    { name: 'c', image: 'x', ports: [{ containerPort: 443, hostPort: 8443 }] },
  ];
  assert.deepEqual(portMappings(pod({ containers })), [
    { HostPort: 8080, ContainerPort: 80, Protocol: 'tcp', HostIP: '' },
    { HostPort: 5353, ContainerPort: 53, Protocol: 'udp', HostIP: '10.10.30.101' },
    { HostPort: 8443, ContainerPort: 443, Protocol: 'tcp', HostIP: '' },
  ]);
});

test("a pod on the host's network has its ports anyway", () => {
  const containers = [{ name: 'a', image: 'x', ports: [...ports] }];
  assert.deepEqual(portMappings(pod({ containers, hostNetwork: true })), []);
});
