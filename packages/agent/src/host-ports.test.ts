import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultValues } from '@sluice/config';
import { unservedHostPort } from '@sluice/loadbalancer';
import { parseAddress } from '@sluice/net';
import { type HostPortNodeOptions, hostPortNode } from './host-ports.ts';

const own = ['10.10.30.101', 'fd00:10:10:30::101'].map((text) => parseAddress(text));
const nodes = {
  addresses: { list: () => own.map((address) => ({ address })) },
} as unknown as HostPortNodeOptions['nodes'];

/** Of these ports those that no pod gets, and why. */
function refused(ports: readonly string[], values: object, servers: readonly string[]): string[] {
  const options = { nodeName: 'n1', healthPort: 9_879, nodes, servers };
  const node = hostPortNode({ ...options, values: { ...defaultValues(), ...values } });
  return ports.flatMap((text) => {
    const [port = '', protocol] = text.split('/');
    const asked = { hostPort: Number(port), protocol: protocol === 'UDP' ? 'UDP' : 'TCP', hostIp: undefined } as const;
    return unservedHostPort({ ...asked, containerPort: 80 }, node) ?? [];
  });
}

const ports = [
  '10250/TCP',
  '10250/UDP',
  '9879/TCP',
  '9962/TCP',
  '10256/TCP',
  '8472/UDP',
  '8472/TCP',
  '6443/TCP',
  '443/TCP',
];

test('a pod does not get a port that the node needs itself', () => {
  assert.deepEqual(refused(ports, {}, ['https://10.10.30.10:6443']), [
    "10250/TCP is the kubelet's on this node",
    "9879/TCP is the agent's, for the kubelet's probes, on this node",
    "8472/UDP is the tunnel's on this node",
  ]);
  const prometheus = { enabled: true, port: 9_962 };
  const healthz = { address: parseAddress('0.0.0.0'), port: 10_256 };
  assert.deepEqual(refused(ports.slice(3, 5), { prometheus, kubeProxyReplacementHealthzBindAddr: healthz }, []), [
    "9962/TCP is the agent's, for its metrics, on this node",
    "10256/TCP is the agent's, for /healthz, on this node",
  ]);
});

test('nor the port of an API server on this node, by whichever address it is known', () => {
  const told = ["6443/TCP is the API server's on this node"];
  for (const server of ['https://10.10.30.101:6443', 'https://[fd00:10:10:30::101]:6443', 'https://127.0.0.1:6443'])
    assert.deepEqual(refused(['6443/TCP', '443/TCP'], {}, [server]), told);
  assert.deepEqual(refused(['443/TCP'], {}, ['https://10.10.30.101']), ["443/TCP is the API server's on this node"]);
  assert.deepEqual(refused(['6443/TCP'], {}, ['https://api.example:6443']), []);
});
