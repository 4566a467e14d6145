import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type EndpointSliceObject,
  type NodeObject,
  objectKey,
  parseEndpointSlice,
  parseNode,
  parseService,
  type ServiceObject,
} from '@sluice/kube';
import { parseAddress, parsePrefix } from '@sluice/net';
import { Table } from '@sluice/state';
import { ExternalIpGuard, externalIpRules, type NetworkAddress } from './external-ips.ts';

interface Sketch {
  readonly externalIPs?: readonly string[];
  readonly clusterIPs?: readonly string[];
  readonly ingress?: readonly string[];
}

function service(name: string, { externalIPs = [], clusterIPs = [], ingress = [] }: Sketch): ServiceObject {
  return parseService({
    metadata: { namespace: 'shop', name, creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { type: 'LoadBalancer', externalIPs, clusterIPs, ports: [{ port: 80 }] },
    status: { loadBalancer: { ingress: ingress.map((ip) => ({ ip })) } },
  });
}

const node = (name: string, address: string, podCIDR: string) =>
  parseNode({
    metadata: { name },
    spec: { podCIDR, podCIDRs: [podCIDR] },
    status: { addresses: [{ type: 'InternalIP', address }] },
  });

function guarded(rules: { readonly allowed?: readonly string[]; readonly servers?: readonly string[] } = {}) {
  const services = new Table<ServiceObject>({ name: 'services', key: objectKey, columns: {} });
  const nodes = new Table<NodeObject>({ name: 'nodes', key: ({ name }) => name, columns: {} });
  const endpointSlices = new Table<EndpointSliceObject>({
    name: 'slices',
    key: objectKey,
    columns: {},
    indexes: { service: (row) => [`${row.namespace}/${row.serviceName}`] },
  });
  const networks = new Table<NetworkAddress>({ name: 'addresses', key: ({ address }) => address, columns: {} });
  const { allowed = [], servers = [] } = rules;
  const guard = new ExternalIpGuard({
    rules: externalIpRules({ allowed: allowed.map((text) => parsePrefix(text)), isMitigated: true, servers }),
    ...{ services, nodes, networks, endpointSlices },
  });
  const refused = (name: string) => {
    const row = services.get(`shop/${name}`) ?? assert.fail(`no service ${name}`);
    return row.externalIps.map((address) => guard.refusal(address, row)?.replace(/, and ext.*/, ''));
  };
  return { services, nodes, networks, endpointSlices, guard, refused };
}

test('an external address of nobody is served, in both families', () => {
  const { services, nodes, refused } = guarded();
  nodes.upsert(node('k8s-cp1', '10.10.30.101', '10.244.0.0/24'));
  services.upsert(service('web', { externalIPs: ['203.0.113.250', '2001:db8::250'] }));
  assert.deepEqual(refused('web'), [undefined, undefined]);
});

test("broadcast and multicast are nobody's to take, unless they are allowed", () => {
  const externalIPs = ['255.255.255.255', '239.255.255.250', 'ff05::c'];
  const { services, refused } = guarded({ allowed: ['239.255.255.250/32'] });
  services.upsert(service('dhcp', { externalIPs }));
  assert.deepEqual(refused('dhcp'), [
    '255.255.255.255 belongs to everybody who listens there',
    undefined,
    'ff05::c belongs to everybody who listens there',
  ]);
});

test("a broadcast of the node's own networks is nobody's to take, as addresses come and go", () => {
  const { services, networks, refused } = guarded();
  const externalIPs = ['10.10.31.255', '10.10.30.0', '10.10.31.254', '10.10.30.1', '192.0.2.3'];
  services.upsert(service('web', { externalIPs }));
  assert.deepEqual(refused('web'), [undefined, undefined, undefined, undefined, undefined]);
  networks.upsert({ address: parseAddress('10.10.30.101'), length: 23 });
  networks.upsert({ address: parseAddress('192.0.2.2'), length: 31 });
  networks.upsert({ address: parseAddress('fd00:10:10:30::101'), length: 64 });
  const whose = (address: string) => `${address} belongs to everybody in 10.10.30.0/23, a network of this node`;
  const [last, first] = [whose('10.10.31.255'), whose('10.10.30.0')];
  assert.deepEqual(refused('web'), [last, first, undefined, undefined, undefined]);
  networks.delete('10.10.30.101');
  assert.deepEqual(refused('web'), [undefined, undefined, undefined, undefined, undefined]);
});

test('one of a node, of its pods, of another Service or of the API server is refused, and the owner is named', () => {
  const { services, nodes, endpointSlices, refused } = guarded({ servers: ['https://10.10.30.10:6443'] });
  nodes.upsert(node('k8s-cp1', '10.10.30.101', '10.244.0.0/24'));
  services.upsert(service('web', { clusterIPs: ['10.96.0.10'], ingress: ['203.0.113.5'] }));
  endpointSlices.upsert(
    parseEndpointSlice({
      metadata: { namespace: 'default', name: 'kubernetes', labels: { 'kubernetes.io/service-name': 'kubernetes' } },
      addressType: 'IPv4',
      ports: [{ name: 'https', protocol: 'TCP', port: 6443 }],
      endpoints: [{ addresses: ['198.51.100.6'] }],
    }),
  );
  const wanted = ['10.10.30.101', '10.244.0.7', '10.96.0.10', '203.0.113.5', '10.10.30.10', '198.51.100.6'];
  services.upsert(service('thief', { externalIPs: wanted }));
  assert.deepEqual(refused('thief'), [
    '10.10.30.101 belongs to Node k8s-cp1',
    '10.244.0.7 belongs to the pods of Node k8s-cp1 (10.244.0.0/24)',
    '10.96.0.10 belongs to Service shop/web',
    '203.0.113.5 belongs to Service shop/web',
    '10.10.30.10 belongs to the API server',
    '198.51.100.6 belongs to the API server',
  ]);
});

test('a balancer’s address is served unless it is the API server’s and no node’s, and those who have one are told', () => {
  const { services, nodes, endpointSlices, guard } = guarded({
    allowed: ['10.10.30.12/32'],
    servers: ['https://10.10.30.10:6443', 'https://10.10.30.12:6443', 'https://10.10.30.101:6443'],
  });
  nodes.upsert(node('k8s-cp1', '10.10.30.101', '10.244.0.0/24'));
  services.upsert(service('web', { clusterIPs: ['10.96.0.5'], ingress: ['10.10.30.11'] }));
  const refused = (text: string) => guard.balancerRefusal(parseAddress(text));
  const refusal = (text: string) => `${text} belongs to the API server, and externalIPs.allowed does not name it`;
  assert.equal(refused('10.10.30.10'), refusal('10.10.30.10'));
  for (const served of ['10.10.30.11', '10.10.30.12', '10.10.30.101']) assert.equal(refused(served), undefined);
  const told: string[] = [];
  using _ = guard.subscribe((names) => told.push(...names));
  endpointSlices.upsert(
    parseEndpointSlice({
      metadata: { namespace: 'default', name: 'kubernetes', labels: { 'kubernetes.io/service-name': 'kubernetes' } },
      addressType: 'IPv4',
      ports: [{ port: 6443 }],
      endpoints: [{ addresses: ['10.10.30.11'] }],
    }),
  );
  assert.equal(refused('10.10.30.11'), refusal('10.10.30.11'));
  assert.deepEqual(told, ['shop/web']);
});

test('what the operator allows is served whoever owns it, and all of it without the mitigation', () => {
  const { services, nodes, refused } = guarded({ allowed: ['10.10.30.0/24'] });
  nodes.upsert(node('k8s-cp1', '10.10.30.101', '10.244.0.0/24'));
  services.upsert(service('web', { externalIPs: ['10.10.30.101', '10.244.0.7'] }));
  assert.deepEqual(
    refused('web').map((reason) => reason === undefined),
    [true, false],
  );
  const { allowed } = externalIpRules({ allowed: [], isMitigated: false, servers: [] });
  assert.deepEqual(allowed, [parsePrefix('0.0.0.0/0'), parsePrefix('::/0')]);
});

test("a Service's own addresses are no stranger's, unless another has them as well", () => {
  const { services, refused } = guarded();
  services.upsert(service('web', { ingress: ['203.0.113.5'], externalIPs: ['203.0.113.5'] }));
  assert.deepEqual(refused('web'), [undefined]);
  services.upsert(service('other', { ingress: ['203.0.113.5'] }));
  assert.deepEqual(refused('web'), ['203.0.113.5 belongs to Service shop/other, shop/web']);
});

test('two Services may share an external address', () => {
  const { services, refused } = guarded();
  for (const name of ['one', 'two']) services.upsert(service(name, { externalIPs: ['203.0.113.250'] }));
  assert.deepEqual([refused('one'), refused('two')], [[undefined], [undefined]]);
});

test('owners come and go, and those who name their addresses are told, nobody else', () => {
  const { services, nodes, guard, refused } = guarded();
  services.upsert(service('web', { externalIPs: ['203.0.113.250'] }));
  services.upsert(service('bystander', { clusterIPs: ['10.96.0.99'] }));
  const told: string[][] = [];
  guard.subscribe((names) => told.push([...names]));
  const isRefused = () => refused('web')[0] !== undefined;
  assert.equal(isRefused(), false);
  services.upsert(service('owner', { ingress: ['203.0.113.250'] }));
  assert.equal(isRefused(), true);
  services.delete('shop/owner');
  assert.equal(isRefused(), false);
  nodes.upsert(node('k8s-cp1', '203.0.113.250', '10.244.0.0/24'));
  assert.equal(isRefused(), true);
  nodes.delete('k8s-cp1');
  assert.equal(isRefused(), false);
  services.upsert(service('far', { clusterIPs: ['10.96.0.98'] }));
  assert.deepEqual(
    told,
    [['web'], ['web'], ['web'], ['web']].map(() => ['shop/web']),
  );
  assert.equal(guard.revision, 4);
});

test('a Service that no longer names an address is not told of it', () => {
  const { services, guard } = guarded();
  services.upsert(service('web', { externalIPs: ['203.0.113.250'] }));
  services.upsert(service('web', {}));
  const told: unknown[] = [];
  guard.subscribe((names) => told.push(names));
  services.upsert(service('owner', { ingress: ['203.0.113.250'] }));
  assert.deepEqual(told, []);
});
