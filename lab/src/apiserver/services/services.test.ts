import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { parsePrefix } from '@sluice/net';
import { ApiError } from '../api-error.ts';
import { Cluster } from '../cluster.ts';
import type { Service, ServiceSpec } from '../kinds/types.ts';
import { createStandardObjects } from '../server.ts';

let cluster: Cluster;

const [ipv4, ipv6] = [parsePrefix('10.96.0.0/16'), parsePrefix('fd00:10:96::/112')];
const nodePorts = { first: 30_000, last: 30_003 };

beforeEach(() => {
  cluster = new Cluster({ ipv4, ipv6, nodePorts });
  createStandardObjects(cluster, ['10.96.0.0/16']);
});

const target = (name: string) => ({ name, namespace: 'default' });
const port = { port: 80 };

function create(name: string, spec: Partial<ServiceSpec> = {}): Service {
  return cluster.create('services', { metadata: target(name), spec: { ports: [port], ...spec } });
}

function causes(action: () => unknown): string[] {
  try {
    action();
  } catch (error) {
    if (error instanceof ApiError)
      return error.details?.causes?.map(({ field, message }) => `${field}: ${message}`) ?? [error.message];
    throw error;
  }
  return [];
}

test('a service gets an address above the band for static ones, and its defaults', () => {
  const { spec } = create('web');
  assert.deepEqual(spec.clusterIPs, ['10.96.1.1']);
  assert.deepEqual(
    [spec.type, spec.ipFamilies, spec.ipFamilyPolicy, spec.sessionAffinity],
    ['ClusterIP', ['IPv4'], 'SingleStack', 'None'],
  );
  assert.deepEqual(spec.ports, [{ port: 80, protocol: 'TCP', targetPort: 80 }]);
});

test('dual-stack services get one address per family, in the order asked for', () => {
  assert.deepEqual(create('a', { ipFamilyPolicy: 'PreferDualStack' }).spec.clusterIPs, [
    '10.96.1.1',
    'fd00:10:96::101',
  ]);
  const b = create('b', { ipFamilyPolicy: 'RequireDualStack', ipFamilies: ['IPv6'] }).spec;
  assert.deepEqual([b.ipFamilies, b.clusterIP], [['IPv6', 'IPv4'], 'fd00:10:96::102']);
});

test('a cluster of one family gives its addresses, and refuses the other and both', () => {
  for (const [ranges, family, other] of [
    [{ ipv4, ipv6: undefined }, 'IPv4', 'IPv6'],
    [{ ipv4: undefined, ipv6 }, 'IPv6', 'IPv4'],
  ] as const) {
    cluster = new Cluster({ ...ranges, nodePorts });
    createStandardObjects(cluster, ['10.96.0.0/16']);
    const { spec } = create('web', { ipFamilyPolicy: 'PreferDualStack' });
    assert.deepEqual([spec.ipFamilyPolicy, spec.ipFamilies, spec.clusterIPs?.length], ['PreferDualStack', [family], 1]);
    assert.deepEqual(
      causes(() => create('both', { ipFamilyPolicy: 'RequireDualStack' })),
      [
        'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
      ],
    );
    assert.deepEqual(
      causes(() => create('other', { ipFamilies: [other] })),
      [`spec.ipFamilies[0]: Invalid value: "${other}": not configured on this cluster`],
    );
    // Its addresses are none of the cluster's, and Kubernetes has always given it both families.
    const bare = create('bare', { clusterIP: 'None' }).spec;
    assert.deepEqual([bare.ipFamilyPolicy, bare.ipFamilies], ['RequireDualStack', [family, other]]);
  }
});

test('an address asked for is given once, and again after its service is gone', () => {
  create('dns', { clusterIP: '10.96.0.10' });
  assert.match(
    causes(() => create('other', { clusterIP: '10.96.0.10' }))[0] ?? '',
    /failed to allocate IP 10.96.0.10: provided IP is already allocated/,
  );
  cluster.delete('services', target('dns'));
  assert.equal(create('other', { clusterIP: '10.96.0.10' }).spec.clusterIP, '10.96.0.10');
});

test('addresses outside the range, that are none, or of another family are refused', () => {
  assert.match(
    causes(() => create('a', { clusterIP: '10.97.0.1' }))[0] ?? '',
    /not in the valid range. The range of valid IPs is 10.96.0.0\/16/,
  );
  assert.match(causes(() => create('a', { clusterIP: '10.96.0.256' }))[0] ?? '', /must be a valid IP address/);
  assert.match(
    causes(() => create('a', { clusterIP: '10.96.0.5', ipFamilies: ['IPv6'] }))[0] ?? '',
    /expected an IPv6 value as indicated by `ipFamilies\[0\]`/,
  );
});

test('an address never changes, and an update without one keeps it', () => {
  create('web');
  const kept = cluster.update('services', { metadata: target('web'), spec: { ports: [{ port: 81 }] } });
  assert.equal(kept.spec.clusterIP, '10.96.1.1');
  assert.deepEqual(
    causes(() =>
      cluster.update('services', { metadata: target('web'), spec: { ports: [port], clusterIP: '10.96.1.9' } }),
    ),
    ['spec.clusterIPs[0]: Invalid value: ["10.96.1.9"]: may not change once set'],
  );
});

test('a service can gain the second family and lose it again', () => {
  create('web');
  const dual = cluster.modify('services', target('web'), (draft) => {
    draft.spec.ipFamilyPolicy = 'PreferDualStack';
  });
  assert.deepEqual(dual?.spec.clusterIPs, ['10.96.1.1', 'fd00:10:96::101']);
  const single = cluster.modify('services', target('web'), (draft) => {
    draft.spec.ipFamilyPolicy = 'SingleStack';
  });
  assert.deepEqual([single?.spec.clusterIPs, single?.spec.ipFamilies], [['10.96.1.1'], ['IPv4']]);
});

test('headless services have no address, bare ones are for both families', () => {
  assert.deepEqual(create('a', { clusterIP: 'None', selector: { a: 'b' } }).spec.clusterIPs, ['None']);
  assert.deepEqual(create('b', { clusterIP: 'None' }).spec.ipFamilies, ['IPv4', 'IPv6']);
  assert.match(
    causes(() => create('c', { clusterIP: 'None', type: 'NodePort' }))[0] ?? '',
    /may not be set to 'None' for NodePort services/,
  );
});

test('node ports are given, kept over updates, and taken back with the type', () => {
  const first = create('web', { type: 'NodePort' }).spec.ports?.[0]?.nodePort;
  assert.equal(first, 30_000);
  const kept = cluster.update('services', {
    metadata: target('web'),
    spec: { type: 'NodePort', ports: [port, { name: 'b', port: 81 }].map((p, i) => ({ ...p, name: `p${i}` })) },
  });
  assert.deepEqual(
    kept.spec.ports?.map(({ nodePort }) => nodePort),
    [30_000, 30_001],
  );
  const inner = cluster.modify('services', target('web'), (draft) => {
    draft.spec.type = 'ClusterIP';
  });
  assert.deepEqual(
    inner?.spec.ports?.map(({ nodePort }) => nodePort),
    [undefined, undefined],
  );
  assert.equal(
    create('other', { type: 'NodePort', ports: [{ port: 80, nodePort: 30_000 }] }).spec.ports?.[0]?.nodePort,
    30_000,
  );
});

test('TCP and UDP of one port share a node port; a taken or impossible one is refused; a full range is an error', () => {
  const dns = create('dns', {
    type: 'NodePort',
    ports: [
      { name: 'u', port: 53, protocol: 'UDP' },
      { name: 't', port: 53, protocol: 'TCP' },
    ],
  });
  assert.deepEqual(
    dns.spec.ports?.map(({ nodePort }) => nodePort),
    [30_000, 30_000],
  );
  assert.match(
    causes(() => create('a', { type: 'NodePort', ports: [{ port: 80, nodePort: 30_000 }] }))[0] ?? '',
    /provided port is already allocated/,
  );
  assert.match(
    causes(() => create('a', { type: 'NodePort', ports: [{ port: 80, nodePort: 80 }] }))[0] ?? '',
    /The range of valid ports is 30000-30003/,
  );
  for (const name of ['a', 'b', 'c']) create(name, { type: 'NodePort' });
  assert.match(
    causes(() => create('d', { type: 'NodePort' }))[0] ?? '',
    /failed to allocate a nodePort: range is full/,
  );
});

test('malformed services are refused with each reason', () => {
  const bad = causes(() =>
    create('x', {
      type: 'Odd',
      ports: [
        { port: 0, targetPort: 'no_port' },
        { port: 80, protocol: 'ICMP' },
      ],
      externalIPs: ['127.0.0.1', 'x'],
      sessionAffinity: 'Maybe',
    } as object),
  );
  assert.deepEqual(
    bad.map((text) => text.split(':')[0]),
    [
      'spec.type',
      'spec.ports[0].name',
      'spec.ports[0].port',
      'spec.ports[0].targetPort',
      'spec.ports[1].name',
      'spec.ports[1].protocol',
      'spec.sessionAffinity',
      'spec.externalIPs[0]',
      'spec.externalIPs[1]',
    ],
  );
  assert.deepEqual(
    causes(() => create('x', { ports: [] })),
    ['spec.ports: Required value'],
  );
  assert.deepEqual(causes(() => create('x', { ipFamilies: ['IPv9'] } as object)).length, 1);
  assert.deepEqual(
    causes(() =>
      create('x', {
        ports: [
          { name: 'a', port: 80 },
          { name: 'a', port: 80 },
        ],
      }),
    ).map((text) => text.split(': ')[1]),
    ['Duplicate value', 'Duplicate value'],
  );
});
