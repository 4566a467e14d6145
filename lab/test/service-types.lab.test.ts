// Needs root and a kernel that Sluice runs on. One lab for all of these, and one Service, which becomes all that a Service can be.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startClient } from './clients.ts';
import { testLab } from './test-lab.ts';

const lab = testLab();
const NODE = '10.10.30.101';
const NODE_IPV6 = 'fd00:10:10:30::101';
const BALANCER = '192.0.2.5';
const PATIENCE_MS = 15_000;
after(() => lab[Symbol.asyncDispose]());
before(async () => {
  await lab.must('up');
  await lab.must('kubectl', 'create', '-f', join(import.meta.dirname, 'agent-killed.yaml'));
  await lab.must('kubectl', 'wait', '--for=condition=Available', 'deployment/web', '--timeout=30s');
  await lab.must('kubectl', 'wait', '--for=condition=Ready', 'pod/near', 'pod/far', '--timeout=30s');
  // The lab's router stands for whoever brings packets for a balancer's address to a node.
  await lab.must('exec', 'router', '--', 'ip', 'route', 'add', `${BALANCER}/32`, 'via', NODE);
});

const patch = (spec: object, ...more: readonly string[]) =>
  lab.must('kubectl', 'patch', 'service', 'web', '--type', 'merge', '-p', JSON.stringify(spec), ...more);
const field = (path: string) => lab.must('kubectl', 'get', 'service', 'web', '-o', `jsonpath={${path}}`);
const frontends = () => lab.must('exec', 'k8s-cp1', '--', 'sluice', 'service', 'list');

interface Asked {
  readonly from: string;
  /** Default TCP. */
  readonly protocol?: 'tcp' | 'udp';
  readonly address: string;
  readonly port: string;
  /** `refused` at once, or `silence`. */
  readonly gets: 'an answer' | 'refused' | 'silence' | 'EPERM';
}

const patterns = {
  'an answer': /answered=1 failed=0/,
  refused: /Connection refused/,
  silence: /timed out|timeout/i,
  EPERM: /Operation not permitted/,
} as const;

/** Asks until it gets that, as what the API says takes a moment to come to a node. */
async function ask({ from, protocol = 'tcp', address, port, gets }: Asked): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const { stdout, stderr } = await lab.run('exec', from, '--', 'client', protocol, address, port, '--timeout', '700');
    if (patterns[gets].test(stdout + stderr)) return;
    if (performance.now() > deadline)
      assert.fail(`${from} to ${address}:${port}/${protocol} gets ${stdout}${stderr}, not ${gets}`);
    await delay(100);
  }
}

interface Port {
  readonly nodePort: number;
  readonly protocol: 'TCP' | 'UDP';
}

test('a Service changes its type and its NodePort in place, and nobody who uses what stays notices', async () => {
  const clusterIp = await field('.spec.clusterIP');
  const clients = [
    startClient(lab, 'near', ['tcp', clusterIp, '--stream']),
    startClient(lab, 'far', ['tcp', clusterIp]),
    startClient(lab, 'near', ['udp', clusterIp]),
    startClient(lab, 'far', ['udp', clusterIp, '--unconnected']),
  ];
  const readPorts = async () => JSON.parse(await field('.spec.ports')) as readonly Port[];
  /** Each of the ports, in both families. */
  const askNode = async (ports: readonly Port[], gets: Asked['gets']) => {
    for (const { nodePort, protocol } of ports)
      for (const address of [NODE, NODE_IPV6])
        await ask({
          ...{ from: 'client', address, port: String(nodePort), gets },
          protocol: protocol === 'UDP' ? 'udp' : 'tcp',
        });
  };

  await patch({ spec: { type: 'NodePort' } });
  const first = await readPorts();
  assert.deepEqual(first.map(({ protocol }) => protocol).sort(), ['TCP', 'UDP']);
  await askNode(first, 'an answer');

  const moved = first.map((port, index) => ({ ...port, nodePort: 31_500 + index }));
  await patch({ spec: { ports: moved } });
  await askNode(moved, 'an answer');
  await askNode(first, 'refused');

  await patch({ spec: { type: 'LoadBalancer' } });
  await patch({ status: { loadBalancer: { ingress: [{ ip: BALANCER }] } } }, '--subresource', 'status');
  for (const from of ['client', 'near', 'k8s-cp2'])
    await ask({ from, address: BALANCER, port: '80', gets: 'an answer' });
  await askNode(moved, 'an answer');

  await patch({ spec: { type: 'ClusterIP' } });
  await askNode(moved, 'refused');
  assert.equal(await field('.spec.clusterIP'), clusterIp);
  for (const client of clients) assert.match(await client.end(), /sent=(\d{2,}) answered=\1 failed=0/, client.what);
});

test("only clients of loadBalancerSourceRanges get in at the balancer's address, pods and nodes too", async () => {
  await patch({ spec: { type: 'LoadBalancer' } });
  await patch({ status: { loadBalancer: { ingress: [{ ip: BALANCER }] } } }, '--subresource', 'status');
  const near = await lab.must('kubectl', 'get', 'pod', 'near', '-o', 'jsonpath={.status.podIP}');
  const at = (address: string, port: string, from: string, gets: Asked['gets']) => ask({ from, address, port, gets });
  const all = ['client', 'near', 'far', 'k8s-cp1'];
  for (const from of all) await at(BALANCER, '80', from, 'an answer');

  await patch({ spec: { loadBalancerSourceRanges: [`${near}/32`] } });
  await at(BALANCER, '80', 'client', 'silence');
  await at(BALANCER, '80', 'far', 'silence');
  await at(BALANCER, '80', 'k8s-cp1', 'EPERM');
  await at(BALANCER, '80', 'near', 'an answer');
  // Nobody is asked at the other ways in.
  const clusterIp = await field('.spec.clusterIP');
  const nodePort = await field('.spec.ports[0].nodePort');
  for (const from of ['far', 'k8s-cp1']) await at(clusterIp, '80', from, 'an answer');
  await at(NODE, nodePort, 'client', 'an answer');

  await patch({ spec: { loadBalancerSourceRanges: [`${NODE}/32`, '203.0.113.0/24'] } });
  await at(BALANCER, '80', 'k8s-cp1', 'an answer');
  await at(BALANCER, '80', 'client', 'an answer');
  await at(BALANCER, '80', 'k8s-cp2', 'EPERM');
  await at(BALANCER, '80', 'near', 'silence');
  assert.match(await lab.must('exec', 'k8s-cp2', '--', 'sluice', 'status'), /client is not of the ranges/);

  await patch({ spec: { loadBalancerSourceRanges: null } });
  for (const from of all) await at(BALANCER, '80', from, 'an answer');
});

test('a port takes another name and number, and the new one is served once its endpoints have the name', async () => {
  const clusterIp = await field('.spec.clusterIP');
  const ports = JSON.parse(await field('.spec.ports')) as { readonly name: string; readonly port: number }[];
  const renamed = ports.map((port) => (port.name === 'tcp' ? { ...port, name: 'http', port: 81 } : port));
  await patch({ spec: { ports: renamed } });
  await ask({ from: 'near', address: clusterIp, port: '81', gets: 'an answer' });
  await ask({ from: 'near', address: clusterIp, port: '80', gets: 'refused' });
});

test('an ExternalName has no frontend, and what becomes a ClusterIP again has one', async () => {
  const before = await field('.spec.clusterIP');
  const external = { type: 'ExternalName', externalName: 'web.example.org', clusterIP: null, clusterIPs: null };
  await patch({ spec: { ...external, ipFamilies: null, ipFamilyPolicy: null, ports: null } });
  const deadline = performance.now() + PATIENCE_MS;
  while (/default\/web/.test(await frontends()) && performance.now() < deadline) await delay(100);
  const shown = await frontends();
  assert.doesNotMatch(shown, /default\/web/);
  await ask({ from: 'near', address: before, port: '81', gets: 'silence' });

  await patch({ spec: { type: 'ClusterIP', externalName: null, ports: [{ port: 80, targetPort: 8080 }] } });
  await ask({ from: 'near', address: await field('.spec.clusterIP'), port: '80', gets: 'an answer' });
});
