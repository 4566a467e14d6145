import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CtStatus, DropReason, type DryRun, type PacketAnswer, type SocketAnswer, Way } from '@sluice/datapath';
import type { Endpoint } from '@sluice/endpoint';
import { parseEndpointSlice, parseService } from '@sluice/kube';
import type { FrontendRow } from '@sluice/loadbalancer';
import { type Address, type Packet, packet, parseAddress, parsePacket } from '@sluice/net';
import type { IpRow, NodeRow } from '@sluice/nodes';
import { Table } from '@sluice/state';
import { client, mac, node } from '../../test/explain-sources.ts';
import type { StatusReport } from '../report.ts';
import { explainConnection } from './explain-connection.ts';
import { explainQuestion } from './question.ts';
import type { ExplainSources } from './sources.ts';

interface Asked {
  readonly calls: { address: Address; netnsCookie: bigint }[];
  readonly packets: { program: string; ifindex: number; packet: Packet }[];
}

interface Told {
  readonly socket?: Partial<SocketAnswer>;
  readonly explanation?: Partial<NonNullable<PacketAnswer['explanation']>>;
  readonly action?: PacketAnswer['action'];
  /** What the programs made of the packet; default: nothing. */
  readonly bytes?: Uint8Array;
  readonly programs?: StatusReport['foreignPrograms'];
  readonly nodeState?: 'reachable' | 'unreachable' | 'unknown';
}

/** The programs answer what they are told to; what they were asked is kept. */
function sourcesOf(told: Told): { sources: ExplainSources; asked: Asked } {
  const asked: Asked = { calls: [], packets: [] };
  const end = { address: undefined, port: 0 };
  const dryRun: DryRun = {
    socketCall(call) {
      asked.calls.push(call);
      return {
        result: 'none',
        backend: undefined,
        backendCount: 0,
        affinitySeconds: 0,
        isByAffinity: false,
        ...told.socket,
      };
    },
    service: () => undefined,
    packet({ program, ifindex, bytes }) {
      const parsed = parsePacket(bytes);
      asked.packets.push({ program, ifindex, packet: parsed });
      const destination = parseAddress((parsed.ipv4 ?? parsed.ipv6)?.destination ?? '::');
      return {
        action: told.action ?? 'redirected',
        bytes: told.bytes ?? bytes,
        explanation: {
          tuple: { source: client.ipv4, destination, sourcePort: 0, destinationPort: 80, protocol: 6 },
          frontend: end,
          nextHop: undefined,
          sourceIdentity: 4711,
          destinationIdentity: 2,
          endpointId: 1,
          ifindex: 0,
          reason: 0,
          line: 0,
          mtu: 0,
          backendId: 0,
          isTold: 1,
          way: Way.Device,
          ctStatus: CtStatus.New,
          ...told.explanation,
        },
      };
    },
    [Symbol.dispose]: () => undefined,
  };
  const endpoints = new Table<Endpoint>({
    name: 'endpoints',
    key: (row) => row.containerId,
    columns: {},
    indexes: { pod: (row) => (row.pod ? [`${row.pod.namespace}/${row.pod.name}`] : []) },
  });
  endpoints.upsert(client);
  const nodes = new Table<NodeRow>({ name: 'nodes', key: (row) => row.name, columns: {} });
  nodes.upsert(node);
  nodes.upsert({ ...node, name: 'k8s-cp1', local: true, addresses: [parseAddress('10.10.30.101')], podCidrs: [] });
  const remote: IpRow = {
    prefix: '10.244.1.7/32',
    identity: 9,
    node: 'k8s-cp2',
    tunnelEndpoint: undefined,
    source: 'slice',
    pod: 'shop/far',
  };
  const { nodeState: state = 'reachable' } = told;
  const sources: ExplainSources = {
    services,
    endpointSlices,
    nodeName: 'k8s-cp1',
    endpointsOf: () => [],
    endpoints,
    nodes: {
      nodes,
      ips: () => [remote],
      nodePortAddresses: () => ({
        served: [parseAddress('10.10.30.101')],
        without: ['10.10.31.101', '10.244.0.1'].map(parseAddress),
      }),
    },
    facts: {
      hostIfindex: 3,
      netIfindex: 4,
      overlayIfindex: 5,
      hostMac: mac,
      gatewayIpv4: parseAddress('10.244.0.1'),
      gatewayIpv6: undefined,
      mtu: 1450,
      nodeIpv4: undefined,
      nodeIpv6: undefined,
    },
    frontends,
    zone: () => undefined,
    backendsOf: () => [],
    dryRun,
    nameOf: (address) => (address === '10.244.1.7' ? 'shop/far' : ''),
    interfaceOf: (ifindex) => `dev${ifindex}`,
    labelsOf: () => [],
    reachability: () => [{ name: 'k8s-cp2', local: false, addresses: [], state, why: 'it is silent' }],
    foreignPrograms: () => told.programs ?? [],
    anyPort: () => 40_000,
  };
  return { sources, asked };
}

const services = new Table<ReturnType<typeof parseService>>({
  name: 's',
  key: (row) => `${row.namespace}/${row.name}`,
  columns: {},
});
const metadata = { name: 'web', namespace: 'shop', uid: 'web' };
services.upsert(
  parseService({
    kind: 'Service',
    metadata,
    spec: { clusterIP: '10.96.4.7', ports: [{ name: 'http', port: 80, protocol: 'TCP' }] },
  }),
);
const endpointSlices = new Table<ReturnType<typeof parseEndpointSlice>>({
  name: 'e',
  key: (row) => row.name,
  columns: {},
});
endpointSlices.upsert(
  parseEndpointSlice({
    kind: 'EndpointSlice',
    metadata: { name: 'web-1', namespace: 'shop', uid: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [],
    endpoints: [
      {
        addresses: ['10.244.1.7'],
        conditions: { ready: false },
        targetRef: { kind: 'Pod', name: 'far', namespace: 'shop', uid: 'f' },
      },
    ],
  }),
);
const frontends = new Table<FrontendRow>({ name: 'frontends', key: (row) => row.key, columns: {} });
frontends.upsert({
  key: '10.96.4.7:80/TCP',
  id: 1,
  type: 'ClusterIP',
  service: 'shop/web',
  portName: 'http',
  sourceRanges: undefined,
  isNodeAllowed: true,
  algorithm: 'random',
  whyRandom: undefined,
  forwarding: undefined,
  ...{ policy: 'Cluster', affinitySeconds: 0, unused: undefined },
  backends: [],
  state: 'done',
  reason: undefined,
});

function explain(to: string, told: Told = {}, more: Record<string, string> = {}) {
  const { sources, asked } = sourcesOf(told);
  const report = explainConnection(explainQuestion(new URLSearchParams({ from: 'shop/client', to, ...more })), sources);
  const texts = Object.fromEntries(report.steps.map(({ step, text }) => [step, text]));
  return { report, texts, asked };
}

test("the call is asked for the pod's namespace, and the packet is sent by its interface to the backend", () => {
  const backend = { address: parseAddress('10.244.1.7'), port: 8080, id: 3 };
  const { asked, texts } = explain('web:80', { socket: { result: 'translated', backend, backendCount: 3 } });
  assert.deepEqual(asked.calls, [{ netnsCookie: 77n, address: '10.96.4.7', port: 80, protocol: 6 }]);
  assert.equal(asked.packets[0]?.ifindex, client.hostIfindex);
  assert.equal(asked.packets[0]?.packet.ethernet?.source, client.podMac);
  assert.equal(asked.packets[0]?.packet.ipv4?.destination, '10.244.1.7');
  assert.equal(asked.packets[0]?.packet.tcp?.sourcePort, 40_000);
  assert.match(
    texts.socket ?? '',
    /is given 10\.244\.1\.7:8080 \(shop\/far\), one of 3 at random: the next call may get another/,
  );
});

test('no backend refuses TCP before a packet is sent, and says which pods are not ready', () => {
  const { report, texts, asked } = explain('web:http', { socket: { result: 'no backend' } });
  assert.equal(report.verdict, 'dropped');
  assert.match(report.summary, /ECONNREFUSED/);
  assert.match(texts.service ?? '', /no backend, as none is ready \(far\)/);
  assert.deepEqual(asked.packets, []);
});

test('no backend here by policy Local is told so, and what becomes of the packet, not that none is ready', () => {
  const [clusterIp] = frontends.list();
  assert.ok(clusterIp);
  frontends.upsert({ ...clusterIp, policy: 'Local', unused: '1 on another node' });
  const { report, texts } = explain('web:80', {
    action: 'dropped',
    explanation: { reason: DropReason.NoLocalBackend },
  });
  assert.match(texts.service ?? '', /; no backend on this node, and the policy is Local \(1 on another node\);/);
  assert.match(report.hint ?? '', /internalTrafficPolicy is Local/);
  frontends.upsert(clusterIp);
});

test('who is not of the source ranges is told so: the node at its call, a pod by what becomes of its packets', () => {
  const host = explain('10.96.4.7:80', { socket: { result: 'not allowed' } }, { from: 'host' });
  assert.match(host.report.summary, /not of the ranges .* EPERM, no packet is sent/);
  assert.deepEqual(host.asked.packets, []);
  const pod = explain('web:80', { socket: { result: 'not allowed' } });
  assert.match(pod.texts.socket ?? '', /is of nobody in loadBalancerSourceRanges and goes on as it is/);
  assert.equal(pod.asked.packets[0]?.packet.ipv4?.destination, '10.96.4.7');
});

test('past the socket hooks nobody is asked for the call', () => {
  const { asked } = explain('web:80', {}, { 'past-hooks': 'true' });
  assert.deepEqual(asked.calls, []);
  assert.equal(asked.packets[0]?.packet.ipv4?.destination, '10.96.4.7');
});

test('the tunnel is told with the node, and whether it answers', () => {
  const explanation = { way: Way.Tunnel, nextHop: parseAddress('10.10.30.102'), ifindex: 5 };
  const { texts, report } = explain('10.244.1.7:80', { explanation, nodeState: 'unreachable' });
  assert.match(texts.route ?? '', /through the tunnel dev5 to k8s-cp2 .* the node does not answer: it is silent/);
  assert.match(report.summary, /it leaves for shop\/far on node k8s-cp2/);
});

test('the world is told with what the device makes of the source', () => {
  const bytes = packet()
    .ethernet()
    .ipv4({ source: '10.10.30.101', destination: '192.0.2.1' })
    .tcp({ sourcePort: 40_000 })
    .payload();
  const explanation = { ifindex: 2, nextHop: parseAddress('10.10.30.1') };
  const { texts, asked } = explain('192.0.2.1:80', { explanation, bytes });
  assert.deepEqual(
    asked.packets.map(({ program, ifindex }) => [program, ifindex]),
    [
      ['pod_from_pod', 10],
      ['netdev_to_network', 2],
    ],
  );
  assert.match(texts.masquerade ?? '', /it leaves as 10\.10\.30\.101:40000/);
});

test('a drop is told with its reason, its hint and what the sender hears', () => {
  const silent = explain('10.244.0.250:80', {
    action: 'dropped',
    explanation: { reason: DropReason.StaleOrUnroutable },
  });
  assert.equal(silent.report.verdict, 'dropped');
  assert.match(silent.report.hint ?? '', /nobody has this address/);
  assert.equal(silent.texts.answer, 'the sender hears nothing, and waits');
  const bytes = packet()
    .ethernet()
    .ipv4({ source: '10.96.4.7', destination: '10.244.0.4' })
    .tcp({ flags: 'RA' })
    .payload();
  const told = explain('10.96.4.7:81', { bytes, explanation: { reason: DropReason.NoBackend } });
  assert.match(told.texts.answer ?? '', /^the sender is told: IP 10\.96\.4\.7.* Flags \[R\.\]/);
  assert.match(told.texts.service ?? '', /which has no port 81\/TCP, only 80\/TCP/);
});

test('a node port is named on the addresses of this node, and of another one, which chooses', () => {
  const [clusterIp] = frontends.list();
  assert.ok(clusterIp);
  frontends.upsert({ ...clusterIp, key: '0.0.0.0:30080/TCP', type: 'NodePort', backends: [] });
  const { texts } = explain('10.10.30.101:30080', { explanation: { way: Way.Host } });
  assert.match(texts.service ?? '', /^NodePort of service shop\/web:http; no backend/);
  assert.match(
    explain('10.10.30.102:30080').texts.service ?? '',
    /^NodePort of service shop\/web:http, asked at another node: k8s-cp2 chooses the backend, if nodePort\.addresses has the address$/,
  );
  for (const elsewhere of ['10.10.31.101', '192.0.2.1']) {
    assert.equal(explain(`${elsewhere}:30080`, { explanation: { way: Way.Host } }).texts.service, undefined);
  }
  frontends.delete('0.0.0.0:30080/TCP');
});

test('whose a balancer’s address is stands there for a port that nobody serves there, too', () => {
  const [clusterIp] = frontends.list();
  assert.ok(clusterIp);
  const rows = [
    { key: '192.0.2.9:443/TCP', service: 'shop/web' },
    { key: '192.0.2.9:443/TCP/external', service: 'shop/web' },
    { key: '192.0.2.9:53/UDP', service: 'shop/dns' },
    { key: '192.0.2.9:443/TCP of shop/late', service: 'shop/late', id: 0 },
  ];
  for (const each of rows) frontends.upsert({ ...clusterIp, type: 'LoadBalancer', ...each });
  const told = (to: string) => explain(to).texts.service;
  assert.equal(
    told('192.0.2.9:80'),
    '192.0.2.9 is of services shop/web, shop/dns, which have no port 80/TCP there, only 443/TCP, 53/UDP',
  );
  assert.equal(told('192.0.2.99:80'), undefined);
  for (const { key } of rows) frontends.delete(key);
});

test("an external address that is somebody else's is named with the reason, and nothing is translated", () => {
  const [clusterIp] = frontends.list();
  assert.ok(clusterIp);
  const key = '192.0.2.1:443/TCP of shop/thief';
  const reason = '192.0.2.1 belongs to Node k8s-cp2, and externalIPs.allowed does not name it';
  frontends.upsert({
    ...clusterIp,
    key,
    type: 'ExternalIP',
    service: 'shop/thief',
    portName: '',
    state: 'off',
    reason,
  });
  const { texts } = explain('192.0.2.1:443', { explanation: { way: Way.Device } });
  const other = {
    ...clusterIp,
    key: '192.0.2.2:443/TCP',
    type: 'ExternalIP',
    state: 'off',
    reason: 'no IPv6',
  } as const;
  frontends.upsert(other);
  assert.match(explain('192.0.2.2:443').texts.service ?? '', /^ExternalIP of service shop\/web:http; off: no IPv6/);
  frontends.delete(other.key);
  assert.match(texts.service ?? '', /^ExternalIP of service shop\/thief; off: 192\.0\.2\.1 belongs to Node k8s-cp2/);
  frontends.delete(key);
});

test('what never leaves the pod, or cannot, is told without asking', () => {
  for (const to of ['10.244.0.4:80', '127.0.0.2:80', '0.0.0.0:80', '[::1]:80', '[::]:80']) {
    const own = explain(to);
    assert.equal(own.report.summary, 'it stays in the pod', to);
    assert.deepEqual(own.asked, { calls: [], packets: [] }, to);
  }
  const without = explain('[2001:db8::1]:80');
  assert.equal(without.report.verdict, 'dropped');
  assert.match(without.report.summary, /shop\/client has no IPv6 address/);
});

test('the node itself is asked at its own device, for pods and services only', () => {
  const pods = explain('10.244.1.7:80', { explanation: { way: Way.Tunnel } }, { from: 'host' });
  assert.deepEqual(
    pods.asked.packets.map(({ program, ifindex }) => [program, ifindex]),
    [['host_from_host', 4]],
  );
  assert.equal(pods.asked.calls[0]?.netnsCookie, 0n);
  assert.deepEqual(explain('192.0.2.1:80', {}, { from: 'host' }).asked.packets, []);
  // The router's address is in a pod CIDR, and the node's own.
  assert.deepEqual(explain('10.244.0.1:30080', {}, { from: 'host' }).asked.packets, []);
});

test('programs of others on the way are named: nobody asked them', () => {
  const program = {
    hook: 'ingress of slc0123456789',
    device: 'slc0123456789',
    id: 7,
    name: 'fw',
    place: 'before ours',
  } as const;
  const { texts } = explain('192.0.2.1:80', { programs: [program] });
  assert.match(texts.note ?? '', /program fw \(id 7\) of somebody else is at ingress of slc0123456789, before ours/);
});

test('a pod that is not here is sent to its node, and one that is nowhere is said so', () => {
  assert.throws(
    () => explain('web:80', {}, { from: 'shop/far' }),
    /pod shop\/far is on node k8s-cp2: ask the agent there/,
  );
  assert.throws(() => explain('web:80', {}, { from: 'shop/none' }), /no pod shop\/none on k8s-cp1/);
  assert.equal(explain('web:80', {}, { from: 'client' }).report.from, 'shop/client');
});

test('the beginning of a name is enough, as in other commands', () => {
  for (const from of ['cl', 'shop/cl']) assert.equal(explain('web:80', {}, { from }).report.from, 'shop/client');
  assert.throws(() => explain('web:80', {}, { from: 'fa' }), /pod shop\/far is on node k8s-cp2/);
  for (const from of ['lient', 'sho', 'hop/client', 'other/cl']) {
    assert.throws(() => explain('web:80', {}, { from }), /no pod .* one of the host's network is "host"/);
  }
});

test('no address at all is the loopback for connect()', () => {
  for (const to of ['127.0.0.1:80', '0.0.0.0:80', '[::]:80', '[::1]:80']) {
    const { report, asked } = explain(to);
    assert.equal(report.summary, 'it stays in the pod');
    assert.deepEqual(asked.packets, []);
  }
});
