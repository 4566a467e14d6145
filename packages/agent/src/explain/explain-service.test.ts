import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrontendFlag, type ServiceCall, type ServiceRow } from '@sluice/datapath';
import { parseEndpointSlice, parseService } from '@sluice/kube';
import type { FrontendRow } from '@sluice/loadbalancer';
import { parseAddress } from '@sluice/net';
import { Table } from '@sluice/state';
import { explainTestSources } from '../../test/explain-sources.ts';
import { explainService } from './explain-service.ts';
import { serviceQuestion } from './service-question.ts';
import type { KernelBackend } from './sources.ts';

const places = {
  cluster: { key: '10.96.4.7:80/TCP', type: 'ClusterIP' },
  inside: { key: '0.0.0.0:30080/TCP', type: 'NodePort' },
  outside: { key: '0.0.0.0:30080/TCP/external', type: 'NodePort', policy: 'Local', unused: '1 on another node' },
} as const satisfies Record<string, Partial<FrontendRow>>;

const near = { key: '10.244.0.9:8080/TCP', state: 'active', nodeName: 'k8s-cp1', zone: 'a' };
const far = { key: '10.244.1.7:8080/TCP', state: 'active', nodeName: 'k8s-cp2', zone: 'b' };

function row(more: Partial<FrontendRow>): FrontendRow {
  return {
    ...{ key: '', id: 1, type: 'ClusterIP', service: 'shop/web', portName: 'http', sourceRanges: undefined },
    ...{ isNodeAllowed: true, algorithm: 'random', whyRandom: undefined, forwarding: undefined, policy: 'Cluster' },
    ...{ affinitySeconds: 0, unused: undefined, backends: [near, far], state: 'done', reason: undefined },
    ...more,
  };
}

interface Told {
  readonly annotations?: Readonly<Record<string, string>>;
  readonly rows?: readonly Partial<FrontendRow>[];
  readonly answer?: (call: ServiceCall) => Partial<ServiceRow> | undefined;
  readonly kernel?: readonly KernelBackend[];
  readonly spec?: object;
}

const kernel = [near, far].map(({ key, state }) => ({
  address: parseAddress(key.split(':')[0] ?? ''),
  ...{ port: 8080, protocol: 'TCP', state },
}));

function explain(asked: Record<string, string>, told: Told = {}) {
  const calls: ServiceCall[] = [];
  const frontends = new Table<FrontendRow>({
    ...{ name: 'frontends', key: ({ key }) => key, columns: {} },
    indexes: { service: ({ service }) => [service] },
  });
  for (const each of told.rows ?? Object.values(places)) frontends.upsert(row(each));
  const sources = explainTestSources({
    frontends,
    backendsOf: () => [...(told.kernel ?? kernel)],
    service(call) {
      calls.push(call);
      const answer = (told.answer ?? (() => ({})))(call);
      return (
        answer && {
          ...{ result: 'backend', frontend: call.address, scope: 'internal', serviceId: 1, generation: 1 },
          ...{ backendCount: 2, affinitySeconds: 0, flags: 0, maglevSize: 0, backend: undefined, isByAffinity: false },
          ...answer,
        }
      );
    },
  });
  const spec = { type: 'NodePort', clusterIPs: ['10.96.4.7'], externalTrafficPolicy: 'Local', ...told.spec };
  sources.services.upsert(
    parseService({
      metadata: { namespace: 'shop', name: 'web', annotations: told.annotations },
      spec: { ports: [port], ...spec },
    }),
  );
  sources.endpointSlices.upsert(
    parseEndpointSlice({
      metadata: { namespace: 'shop', name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
      addressType: 'IPv4',
      ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
      endpoints: [
        { addresses: ['10.244.0.9'], nodeName: 'k8s-cp1', zone: 'a' },
        { addresses: ['10.244.1.7'], nodeName: 'k8s-cp2', zone: 'b' },
        { addresses: ['10.244.1.8'], nodeName: 'k8s-cp2', conditions: { ready: false } },
      ],
    }),
  );
  const query = new URLSearchParams({ service: 'shop/web', ...asked });
  return { report: explainService(serviceQuestion(query, sources), sources), calls };
}

const port = { name: 'http', port: 80, nodePort: 30_080, protocol: 'TCP' };
const stepsOf = ({ steps }: ReturnType<typeof explain>['report']['places'][number]) =>
  Object.fromEntries(steps.map(({ step, text }) => [step, text]));

test('without a client each kind is asked at each place, a NodePort at an address of this node', () => {
  const { report, calls } = explain({});
  const asked = calls.map(({ kind, client, address, port }) => `${kind} ${client} ${address}:${port}`);
  assert.deepEqual(asked, [
    'pod 10.244.0.4 10.96.4.7:80',
    'node 10.244.0.1 10.96.4.7:80',
    'outside 192.0.2.1 10.96.4.7:80',
    'pod 10.244.0.4 10.10.30.101:30080',
    'node 10.244.0.1 10.10.30.101:30080',
    'outside 192.0.2.1 10.10.30.101:30080',
  ]);
  assert.equal(report.isServed, true);
});

test('the backends are those of the kernel, with node and zone where the table knows them', () => {
  const stranger = { address: parseAddress('10.244.9.9'), port: 1, protocol: 'TCP', state: 'terminating' };
  const { report } = explain({ from: 'shop/client' }, { kernel: [...kernel.slice(1), stranger] });
  assert.deepEqual(report.places[0]?.backends, [
    { backend: '10.244.1.7:8080/TCP', pod: 'shop/far', node: 'k8s-cp2', zone: 'b', state: 'active' },
    { backend: '10.244.9.9:1/TCP', pod: '', node: undefined, zone: undefined, state: 'terminating' },
  ]);
});

test('a client outside is told of his own row, its policy, table and mode; an endpoint of why it is not used', () => {
  const answer = () => ({ scope: 'external', maglevSize: 16_381, flags: FrontendFlag.Dsr }) as const;
  const { report } = explain({ from: 'outside:198.51.100.7', port: '30080' }, { answer });
  const [, place] = report.places;
  assert.ok(place);
  assert.deepEqual(stepsOf(place), {
    clients: 'the row for clients outside, who have one of their own with externalTrafficPolicy Local',
    policy: 'externalTrafficPolicy Local: endpoints of this node alone',
    'not used': '1 on another node',
    choice: 'by a Maglev table of 16381 entries, the same on every node',
    mode: 'dsr: a backend of another node answers the client itself, who is seen with his own address',
  });
  const unready = report.endpoints.find(({ endpoint }) => endpoint === '10.244.1.8:8080/TCP');
  assert.equal(unready?.state, 'not ready');
  assert.ok(unready?.unused.every(({ why }) => why === 'not ready'));
});

test('a row that the kernel has not for this client is not served, with the reason', () => {
  const { report } = explain({ from: 'outside' }, { rows: [places.cluster], answer: () => undefined });
  assert.deepEqual(
    report.places.map(({ verdict, summary }) => [verdict, summary]),
    [['not served', 'a cluster address is for clients inside: who comes by the network is led to nobody']],
  );
  assert.equal(report.isServed, false);
});

test('nobody behind a row is refused, nobody here with policy Local is dropped, and so is who is not let in', () => {
  const ended = (result: ServiceRow['result'], from: string) => {
    const { report } = explain({ from }, { rows: [places.inside], kernel: [], answer: () => ({ result }) });
    return `${report.places[0]?.verdict}: ${report.places[0]?.summary}`;
  };
  assert.equal(ended('no backend', 'shop/client'), 'refused: no backend: connect() fails with ECONNREFUSED');
  assert.equal(ended('no backend', 'outside'), 'refused: no backend: a reset');
  assert.match(ended('no local backend', 'outside'), /^dropped: no endpoint on this node, and the policy is Local/);
  assert.equal(ended('not allowed', 'host'), 'dropped: not of the source ranges: EPERM');
  assert.match(ended('not allowed', 'client'), /^dropped: .* nothing is answered$/);
});

test('anybody outside is one of those that are let in, where only some are; who names an address is asked as himself', () => {
  const ranged = { ...places.inside, sourceRanges: ['198.51.100.0/24'] };
  const answer = () => ({ flags: FrontendFlag.SourceRanges, result: 'not allowed' }) as const;
  const anybody = explain({ from: 'outside' }, { rows: [ranged], answer });
  assert.equal(anybody.calls[0]?.client, '198.51.100.0');
  assert.equal(anybody.report.places[0]?.client, 'anybody outside, of the source ranges');
  const nobody = explain({ from: 'outside' }, { rows: [{ ...ranged, sourceRanges: ['2001:db8::/32'] }], answer });
  assert.equal(nobody.report.places[0]?.client, 'anybody outside');
  const named = explain({ from: 'outside:203.0.113.9' }, { rows: [ranged], answer });
  assert.equal(named.calls[0]?.client, '203.0.113.9');
  const [place] = named.report.places;
  assert.ok(place);
  assert.equal(stepsOf(place).ranges, 'loadBalancerSourceRanges let in 198.51.100.0/24: not him');
});

test('terminating backends, hints and affinity are told as reasons', () => {
  const rows = [{ ...places.cluster, unused: '1 kept for others by hints' }];
  const backend = { address: parseAddress('10.244.0.9'), port: 8080, id: 1 };
  const answer = () => ({ affinitySeconds: 60, isByAffinity: true, backend }) as const;
  const leaving = kernel.map((each) => ({ ...each, state: 'terminating' }));
  const { report } = explain({ from: 'host' }, { rows, answer, kernel: leaving });
  const [place] = report.places;
  assert.ok(place);
  const { fallback, hints, affinity } = stepsOf(place);
  assert.match(fallback ?? '', /none of these is ready: those that terminate/);
  assert.match(hints ?? '', /keep others for other nodes or zones/);
  assert.equal(affinity, 'ClientIP: 10.244.0.9:8080 is kept for processes of k8s-cp1');
});

test("another node asks this one by its NodePorts alone, with the node's address", () => {
  const { report, calls } = explain({ from: 'k8s-cp2' });
  assert.deepEqual(
    report.places.map(({ type, verdict }) => [type, verdict]),
    [
      ['ClusterIP', 'not asked'],
      ['NodePort', 'served'],
    ],
  );
  assert.match(report.places[0]?.summary ?? '', /k8s-cp2 serves its own clients there: ask its agent/);
  assert.deepEqual([calls[0]?.kind, calls[0]?.client], ['outside', '10.10.30.102']);
});

test('what is asked for and served by nothing stands there with the reason', () => {
  const off = { key: '10.96.4.7:81/SCTP', state: 'off', reason: 'SCTP is not served' } as const;
  const conflict = {
    key: '10.96.4.7:80/TCP shop/web',
    state: 'error',
    reason: 'belongs to the older service a/b',
  } as const;
  const { report } = explain({}, { rows: [off, conflict] });
  assert.deepEqual(
    report.unserved.map(({ key, reason }) => [key, reason]),
    [
      [off.key, off.reason],
      [conflict.key, conflict.reason],
    ],
  );
  assert.equal(report.isServed, false);
  const headless = explain({}, { rows: [], spec: { clusterIP: 'None', clusterIPs: ['None'] } });
  assert.match(headless.report.why ?? '', /headless: DNS answers with its endpoints/);
});

test('of an ExternalName it is said what DNS answers, and nothing that does not concern it', () => {
  const { report } = explain({}, { rows: [], spec: { type: 'ExternalName', externalName: 'web.example.org' } });
  assert.deepEqual(report.about, [{ step: 'type', text: 'ExternalName of web.example.org' }]);
  assert.match(report.why ?? '', /^DNS answers with the name web\.example\.org; /);
});

test('a balancer’s Service says which address it has, or that nobody has given it one', () => {
  const balancer = (more: object) =>
    explain({}, { spec: { type: 'LoadBalancer', ...more } }).report.about.find(({ step }) => step === 'balancer')?.text;
  assert.match(balancer({}) ?? '', /^has no address: no controller has given it one in status\.loadBalancer$/);
  assert.match(balancer({ loadBalancerClass: 'example.org/x' }) ?? '', /\(its class is example\.org\/x\)$/);
  assert.equal(
    explain({}).report.about.find(({ step }) => step === 'balancer'),
    undefined,
  );
});

test('a balancer’s Service says whom it lets in, and where its health is asked', () => {
  const spec = {
    ...{ type: 'LoadBalancer', healthCheckNodePort: 30_010 },
    loadBalancerSourceRanges: ['198.51.100.0/24', '2001:db8::/32'],
  };
  const about = ({ report }: ReturnType<typeof explain>) =>
    Object.fromEntries(report.about.map(({ step, text }) => [step, text]));
  const { ranges, health } = about(explain({}, { spec }));
  assert.match(ranges ?? '', /^loadBalancerSourceRanges 198\.51\.100\.0\/24, 2001:db8::\/32: nobody else comes in/);
  assert.match(health ?? '', /^healthCheckNodePort 30010: /);
  const plain = about(explain({}));
  assert.deepEqual([plain.ranges, plain.health], [undefined, undefined]);
});

test('what the object says and nobody understands stands there, too', () => {
  const { about } = explain({}, { annotations: { 'service.cilium.io/lb-algorithm': 'roundrobin' } }).report;
  assert.match(about.find(({ step }) => step === 'not used')?.text ?? '', /lb-algorithm: "roundrobin" is none of/);
});

test('names that nobody has are answered by what was meant', () => {
  const wrong: [Record<string, string>, RegExp][] = [
    [{ service: 'shop/wed' }, /no service shop\/wed; did you mean shop\/web\?/],
    [{ service: 'weq' }, /did you mean shop\/web\?/],
    [{ port: 'https' }, /service shop\/web has no port https; it has http 80\/TCP/],
    [{ from: 'outsid' }, /did you mean outside\?/],
    [{ from: 'k8s-cp3' }, /did you mean k8s-cp/],
    [{ from: 'outside:x' }, /an address, such as outside:/],
  ];
  for (const [asked, message] of wrong) assert.throws(() => explain(asked), message);
  assert.equal(explain({ service: 'web', port: 'http' }).report.service, 'shop/web');
});
