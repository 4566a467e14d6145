import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseEndpointSlice, parseService, type ServiceAlgorithm, type ServiceObject } from '@sluice/kube';
import { formatPrefix, parseAddress } from '@sluice/net';
import { desiredFrontends } from './desired.ts';
import { unservedFrontends } from './unserved.ts';

interface EndpointSketch {
  readonly address: string;
  readonly conditions?: { ready?: boolean; serving?: boolean; terminating?: boolean };
}

const service = (spec: object, name = 'web') =>
  parseService({ metadata: { namespace: 'shop', name, creationTimestamp: '2026-01-01T00:00:00Z' }, spec });

const slice = (endpoints: readonly EndpointSketch[], more: object = {}) =>
  parseEndpointSlice({
    metadata: { namespace: 'shop', name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
    endpoints: endpoints.map(({ address, conditions }) => ({ addresses: [address], conditions })),
    ...more,
  });

const viewpoint = { nodeName: 'node-1', externalIps: true };
const web = service({ clusterIPs: ['10.96.0.5'], ports: [{ name: 'http', port: 80, protocol: 'TCP' }] });
const backendsOf = (slices: Parameters<typeof desiredFrontends>[1], of = web): string[] =>
  desiredFrontends(of, slices, viewpoint).flatMap((frontend) => frontend.backends.map((b) => `${b.key} ${b.state}`));

test('a frontend has the ready endpoints of all its slices, each once, in one order', () => {
  const first = slice([{ address: '10.244.1.9' }, { address: '10.244.1.2' }]);
  const second = slice([{ address: '10.244.0.7' }, { address: '10.244.1.9' }]);
  const expected = ['10.244.0.7:8080/TCP active', '10.244.1.2:8080/TCP active', '10.244.1.9:8080/TCP active'];
  assert.deepEqual(backendsOf([first, second]), expected);
  assert.deepEqual(backendsOf([second, first]), expected);
});

test('an endpoint that is not ready is left out while another is', () => {
  const slices = [
    slice([{ address: '10.244.1.2' }, { address: '10.244.1.3', conditions: { ready: false, serving: false } }]),
  ];
  assert.deepEqual(backendsOf(slices), ['10.244.1.2:8080/TCP active']);
});

test('terminating endpoints that serve are used only when none is ready', () => {
  const leaving = { ready: false, serving: true, terminating: true };
  const both = [slice([{ address: '10.244.1.2' }, { address: '10.244.1.3', conditions: leaving }])];
  const only = [slice([{ address: '10.244.1.3', conditions: leaving }])];
  assert.deepEqual(backendsOf(both), ['10.244.1.2:8080/TCP active']);
  assert.deepEqual(backendsOf(only), ['10.244.1.3:8080/TCP terminating']);
});

test('an endpoint that neither is ready nor terminates is no fallback', () => {
  assert.deepEqual(backendsOf([slice([{ address: '10.244.1.3', conditions: { ready: false, serving: true } }])]), []);
});

test('each family of a dual-stack service takes the slices of its family', () => {
  const dual = service({ clusterIPs: ['10.96.0.5', 'fd00:10:96::5'], ports: [{ name: 'http', port: 80 }] });
  const v6 = slice([{ address: 'fd00:10:244:1::2' }], { addressType: 'IPv6' });
  const frontends = desiredFrontends(dual, [slice([{ address: '10.244.1.2' }]), v6], viewpoint);
  assert.deepEqual(
    frontends.map((frontend) => [frontend.key, frontend.backends.map((backend) => backend.key)]),
    [
      ['10.96.0.5:80/TCP', ['10.244.1.2:8080/TCP']],
      ['[fd00:10:96::5]:80/TCP', ['[fd00:10:244:1::2]:8080/TCP']],
    ],
  );
});

test('a port finds its endpoints by name and protocol, whatever number each slice gives it', () => {
  const dns = service({
    clusterIPs: ['10.96.0.10'],
    ports: [
      { name: 'dns', port: 53, protocol: 'UDP' },
      { name: 'dns-tcp', port: 53, protocol: 'TCP' },
    ],
  });
  const one = slice([{ address: '10.244.1.2' }], { ports: [{ name: 'dns', protocol: 'UDP', port: 53 }] });
  const other = slice([{ address: '10.244.1.3' }], { ports: [{ name: 'dns', protocol: 'UDP', port: 5353 }] });
  assert.deepEqual(backendsOf([one, other], dns), ['10.244.1.2:53/UDP active', '10.244.1.3:5353/UDP active']);
});

test('headless services and external names have no frontend', () => {
  assert.deepEqual(desiredFrontends(service({ clusterIP: 'None', ports: [{ port: 80 }] }), [], viewpoint), []);
  assert.deepEqual(desiredFrontends(service({ type: 'ExternalName', externalName: 'example.org' }), [], viewpoint), []);
});

test('a service that its labels leave to another proxy, or to none, has no frontend, whatever the label says', () => {
  for (const label of ['service.kubernetes.io/service-proxy-name', 'service.kubernetes.io/headless']) {
    const metadata = { namespace: 'shop', name: 'web', labels: { [label]: '' } };
    const spec = { clusterIPs: ['10.96.0.5'], ports: [{ port: 80, nodePort: 30_080 }], type: 'NodePort' };
    const labelled = parseService({ metadata, spec });
    assert.deepEqual(desiredFrontends(labelled, [slice([{ address: '10.244.1.2' }])], viewpoint), []);
    assert.deepEqual(unservedFrontends(labelled, viewpoint), []);
  }
});

test('session affinity keeps Kubernetes default of three hours, or what the service says', () => {
  const spec = { clusterIPs: ['10.96.0.5'], ports: [{ port: 80 }], sessionAffinity: 'ClientIP' };
  const timed = { ...spec, sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } };
  assert.equal(desiredFrontends(service(spec), [], viewpoint)[0]?.affinitySeconds, 10_800);
  assert.equal(desiredFrontends(service(timed), [], viewpoint)[0]?.affinitySeconds, 60);
  assert.equal(desiredFrontends(web, [], viewpoint)[0]?.affinitySeconds, 0);
});

const on = (nodeName: string, address: string, conditions: EndpointSketch['conditions'] = {}) => ({
  addresses: [address],
  nodeName,
  conditions,
});

const placed = (...endpoints: readonly ReturnType<typeof on>[]) =>
  parseEndpointSlice({
    metadata: { namespace: 'shop', name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
    endpoints,
  });

const loadBalanced = (spec: object = {}, ingress: readonly object[] = [{ ip: '203.0.113.5' }]) =>
  parseService({
    metadata: { namespace: 'shop', name: 'web', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: {
      type: 'LoadBalancer',
      clusterIPs: ['10.96.0.5'],
      ports: [{ name: 'http', port: 80, nodePort: 30_080 }],
      externalIPs: ['198.51.100.7'],
      ...spec,
    },
    status: { loadBalancer: { ingress } },
  });

/** Each frontend with whom it serves and by which endpoints, their last numbers. */
const served = (of: ReturnType<typeof loadBalanced>, slices: Parameters<typeof desiredFrontends>[1]) =>
  desiredFrontends(of, slices, viewpoint).map(({ key, isExternal, isElsewhere, backends }) => {
    const whom = `${isExternal ? 'all' : 'inside'}${isElsewhere ? ', elsewhere' : ''}`;
    return `${key} ${whom}: ${backends.map(({ address }) => address.split('.')[3]).join(' ')}`;
  });

const dual = { clusterIPs: ['10.96.0.5', 'fd00:10:96::5'] };
const here = on('node-1', '10.244.1.1');
const there = on('node-2', '10.244.2.2');

test('every way in leads to all endpoints, and only a ClusterIP serves nobody outside', () => {
  assert.deepEqual(served(loadBalanced(), [placed(here, there)]), [
    '10.96.0.5:80/TCP inside: 1 2',
    '0.0.0.0:30080/TCP all: 1 2',
    '203.0.113.5:80/TCP all: 1 2',
    '198.51.100.7:80/TCP all: 1 2',
  ]);
});

test('externalTrafficPolicy Local is for clients outside: those inside are led to all endpoints', () => {
  assert.deepEqual(served(loadBalanced({ externalTrafficPolicy: 'Local', externalIPs: [] }), [placed(here, there)]), [
    '10.96.0.5:80/TCP inside: 1 2',
    '0.0.0.0:30080/TCP inside: 1 2',
    '0.0.0.0:30080/TCP/external all: 1',
    '203.0.113.5:80/TCP inside: 1 2',
    '203.0.113.5:80/TCP/external all: 1',
  ]);
});

test('NodePorts are at loopback only where that is configured, for the node itself, by all endpoints', () => {
  const local = loadBalanced({ externalTrafficPolicy: 'Local', externalIPs: [] }, []);
  const keys = (nodePortLoopback: readonly string[]) =>
    desiredFrontends(local, [placed(here, there)], {
      ...viewpoint,
      nodePortLoopback: nodePortLoopback.map((text) => parseAddress(text)),
    })
      .filter(({ type }) => type === 'NodePort')
      .map(({ key, isExternal, backends }) => `${key} ${isExternal} ${backends.length}`);
  const ordinary = ['0.0.0.0:30080/TCP false 2', '0.0.0.0:30080/TCP/external true 1'];
  assert.deepEqual(keys([]), ordinary);
  // The service has no IPv6.
  assert.deepEqual(keys(['127.0.0.1', '::1']), [...ordinary, '127.0.0.1:30080/TCP false 2']);
});

test('a NodePort that is not in nodePort.range is not served, and the reason is told', () => {
  const spec = { clusterIPs: ['10.96.0.5'], ports: [{ port: 80, nodePort: 30_080 }], type: 'NodePort' };
  const within = { ...viewpoint, nodePortRange: { first: 30_000, last: 30_080 } };
  const outside = { ...viewpoint, nodePortRange: { first: 31_000, last: 31_010 } };
  const keys = (from: typeof within) => desiredFrontends(service(spec), [], from).map(({ key }) => key);
  assert.deepEqual(keys(within), ['10.96.0.5:80/TCP', '0.0.0.0:30080/TCP']);
  assert.deepEqual(keys(outside), ['10.96.0.5:80/TCP']);
  assert.deepEqual(unservedFrontends(service(spec), within), []);
  assert.deepEqual(
    unservedFrontends(service(spec), outside).map(({ key, reason }) => `${key}: ${reason}`),
    ['*:30080/TCP: the port is not in nodePort.range'],
  );
});

test('internalTrafficPolicy Local is for the ClusterIP alone', () => {
  assert.deepEqual(
    served(loadBalanced({ internalTrafficPolicy: 'Local', externalIPs: [] }, []), [placed(here, there)]),
    ['10.96.0.5:80/TCP inside: 1', '0.0.0.0:30080/TCP all: 1 2'],
  );
});

test('with policy Local a terminating endpoint here is used before nobody; with none here it is told from none at all', () => {
  const local = loadBalanced({ externalTrafficPolicy: 'Local', externalIPs: [] }, []);
  const leaving = on('node-1', '10.244.1.3', { ready: false, serving: true, terminating: true });
  const external = (slices: Parameters<typeof desiredFrontends>[1]) => served(local, slices).at(-1);
  assert.equal(external([placed(leaving, there)]), '0.0.0.0:30080/TCP/external all: 3');
  assert.equal(external([placed(there)]), '0.0.0.0:30080/TCP/external all, elsewhere: ');
  assert.equal(external([]), '0.0.0.0:30080/TCP/external all: ');
});

test('an address whose balancer ends connections itself is not ours', () => {
  const addresses = (of: ReturnType<typeof loadBalanced>) =>
    desiredFrontends(of, [], viewpoint)
      .filter(({ type }) => type === 'LoadBalancer')
      .map(({ key }) => key);
  const ingress = [{ ip: '203.0.113.5', ipMode: 'Proxy' }, { ip: '203.0.113.6', ipMode: 'VIP' }, { hostname: 'lb' }];
  assert.deepEqual(addresses(loadBalanced({}, ingress)), ['203.0.113.6:80/TCP']);
});

test('a status that names any address is no NodePort of a service with that port', () => {
  const ports = [{ name: 'http', port: 30080 }];
  const clusterIPs = ['10.96.0.5', 'fd00:10:96::5'];
  const own = parseService({
    metadata: { namespace: 'shop', name: 'web' },
    spec: { type: 'LoadBalancer', clusterIPs, ports },
    status: { loadBalancer: { ingress: [{ ip: '0.0.0.0' }, { ip: '::' }, { ip: '203.0.113.7' }] } },
  });
  assert.deepEqual(
    desiredFrontends(own, [], viewpoint).map(({ key }) => key),
    ['10.96.0.5:30080/TCP', '[fd00:10:96::5]:30080/TCP', '203.0.113.7:30080/TCP'],
  );
  assert.deepEqual(
    unservedFrontends(own, viewpoint).map(({ key, reason }) => [key, reason]),
    [
      ['0.0.0.0:30080/TCP of shop/web', "0.0.0.0 is nobody's address"],
      ['[::]:30080/TCP of shop/web', ":: is nobody's address"],
    ],
  );
});

test('source ranges hold at addresses of load balancers, for every client; each family has its own', () => {
  const allowed = (more: object) =>
    desiredFrontends(loadBalanced({ ...dual, ...more }, [{ ip: '203.0.113.5' }, { ip: '2001:db8::5' }]), [], viewpoint)
      .filter(({ sourceRanges }) => sourceRanges !== undefined)
      .map(({ key, sourceRanges }) => `${key}: ${sourceRanges?.map(formatPrefix)}`);
  const ranges = { loadBalancerSourceRanges: ['192.0.2.0/24', '10.0.0.0/8'], externalIPs: ['203.0.113.7'] };
  assert.deepEqual(allowed(ranges), ['203.0.113.5:80/TCP: 192.0.2.0/24,10.0.0.0/8', '[2001:db8::5]:80/TCP: ']);
  assert.deepEqual(allowed({ ...ranges, externalTrafficPolicy: 'Local' }), [
    '203.0.113.5:80/TCP: 192.0.2.0/24,10.0.0.0/8',
    '203.0.113.5:80/TCP/external: 192.0.2.0/24,10.0.0.0/8',
    '[2001:db8::5]:80/TCP: ',
    '[2001:db8::5]:80/TCP/external: ',
  ]);
  assert.deepEqual(allowed({}), []);
});

test("a node's processes are let in where a range has one of its addresses, in the family that is asked", () => {
  const letIn = (ranges: readonly string[] | undefined, nodeAddresses: readonly string[]) =>
    desiredFrontends(
      loadBalanced({ ...dual, loadBalancerSourceRanges: ranges }, [{ ip: '203.0.113.5' }, { ip: '2001:db8::5' }]),
      [],
      { ...viewpoint, nodeAddresses: nodeAddresses.map((text) => parseAddress(text)) },
    )
      .filter(({ type }) => type === 'LoadBalancer')
      .map(({ isNodeAllowed }) => isNodeAllowed);
  const both = ['10.10.30.101', 'fd00:10:10:30::101'];
  assert.deepEqual(letIn(undefined, both), [true, true]);
  assert.deepEqual(letIn(['10.10.30.0/24'], both), [true, false]);
  assert.deepEqual(letIn(['192.0.2.0/24', 'fd00:10:10:30::/64'], both), [false, true]);
  assert.deepEqual(letIn(['0.0.0.0/0'], []), [false, false]);
});

test('who answers clients outside is as the values have it, unless the service says; with policy Local nobody else could', () => {
  const ports = [
    { name: 'dns', port: 53, protocol: 'UDP', nodePort: 30_053 },
    { name: 'http', port: 80, nodePort: 30_080 },
  ];
  const modes = (annotations: object, forwarding?: 'snat' | 'dsr' | 'hybrid', more: object = {}) => {
    const metadata = { namespace: 'shop', name: 'web', creationTimestamp: '2026-01-01T00:00:00Z', annotations };
    const object = parseService({ metadata, spec: { type: 'NodePort', clusterIPs: ['10.96.0.5'], ports, ...more } });
    return desiredFrontends(object, [], { ...viewpoint, ...(forwarding && { forwarding }) })
      .filter(({ type }) => type === 'NodePort')
      .map((frontend) => frontend.forwarding);
  };
  assert.deepEqual(modes({}), ['snat', 'snat']);
  assert.deepEqual(modes({}, 'dsr'), ['dsr', 'dsr']);
  assert.deepEqual(modes({}, 'hybrid'), ['snat', 'dsr']);
  assert.deepEqual(modes({ 'service.cilium.io/forwarding-mode': 'dsr' }), ['dsr', 'dsr']);
  assert.deepEqual(modes({ 'service.cilium.io/forwarding-mode': 'snat' }, 'hybrid'), ['snat', 'snat']);
  assert.deepEqual(modes({}, 'dsr', { externalTrafficPolicy: 'Local' }), Array(4).fill(undefined));
  const [clusterIp] = desiredFrontends(web, [], { ...viewpoint, forwarding: 'dsr' });
  assert.equal(clusterIp?.forwarding, undefined);
});

test('an address named twice by one service is one frontend', () => {
  const twice = loadBalanced({ externalIPs: ['203.0.113.5'] });
  const keys = desiredFrontends(twice, [placed(here)], viewpoint).map(({ key }) => key);
  assert.deepEqual(keys, [...new Set(keys)]);
});

test('hints keep traffic on this node, or in its zone, as long as every ready endpoint has them and one is for us', () => {
  interface Hints {
    readonly nodes?: readonly string[];
    readonly zones?: readonly string[];
    readonly conditions?: object;
  }
  const hintedTo = (hints: readonly Hints[], zone: string | undefined = 'a', of = web) => {
    const named = (names: readonly string[] = []) => names.map((name) => ({ name }));
    const endpoints = hints.map(({ nodes, zones, conditions }, index) => ({
      addresses: [`10.244.1.${index}`],
      conditions,
      hints: { forNodes: named(nodes), forZones: named(zones) },
    }));
    const [first] = desiredFrontends(of, [slice([], { endpoints })], { ...viewpoint, zone });
    return first?.backends.map(({ address }) => Number(address.split('.').at(-1)));
  };
  const [zoneA, zoneB, both] = [{ zones: ['a'] }, { zones: ['b'] }, { zones: ['a', 'b'] }];
  assert.deepEqual(hintedTo([zoneA, zoneB, both]), [0, 2]);
  assert.deepEqual(hintedTo([zoneA, zoneB, {}]), [0, 1, 2], 'one has no hint');
  assert.deepEqual(hintedTo([zoneB, zoneB]), [0, 1], 'nobody is here');
  assert.deepEqual(hintedTo([zoneA, zoneB], ''), [0, 1], 'the node has no zone');
  const [here, there] = [
    { ...zoneA, nodes: ['node-1'] },
    { ...zoneA, nodes: ['node-2'] },
  ];
  assert.deepEqual(hintedTo([here, there]), [0]);
  assert.deepEqual(hintedTo([there, { ...zoneB, nodes: ['node-2'] }]), [0], 'none on this node: its zone');
  assert.deepEqual(hintedTo([here, zoneA]), [0, 1], 'one has no hint for nodes: the zone');
  const leaving = { ready: false, serving: true, terminating: true };
  assert.deepEqual(hintedTo([{ ...zoneA, conditions: leaving }, zoneB]), [1], 'what terminates has no say');
  assert.deepEqual(hintedTo([{ conditions: leaving }, zoneA, zoneB]), [1]);
  assert.deepEqual(hintedTo([{ ...zoneB, conditions: leaving }]), [0], 'nobody is ready anywhere');
  const [first] = desiredFrontends(
    web,
    [
      slice([], {
        endpoints: ['a', 'b'].map((name, index) => ({
          addresses: [`10.244.1.${index}`],
          hints: { forZones: [{ name }] },
        })),
      }),
    ],
    { ...viewpoint, zone: 'a', followsHints: false },
  );
  assert.equal(first?.backends.length, 2, 'loadBalancer.serviceTopology is off');
});

test('Maglev is for clients from outside, in the row that serves them; a Service goes before the values', () => {
  const spec = {
    type: 'LoadBalancer',
    clusterIPs: ['10.96.0.5'],
    ports: [{ name: 'http', port: 80, protocol: 'TCP', nodePort: 30080 }],
  };
  const algorithms = (of: ServiceObject, standard?: ServiceAlgorithm) =>
    desiredFrontends(of, [slice([{ address: '10.244.1.2' }])], {
      ...viewpoint,
      ...(standard && { algorithm: standard }),
    })
      .filter(({ algorithm }) => algorithm === 'maglev')
      .map(({ key }) => key);
  const annotated = (value: string, more: object = {}) =>
    parseService({
      metadata: { namespace: 'shop', name: 'web', annotations: { 'service.cilium.io/lb-algorithm': value } },
      spec: { ...spec, ...more },
      status: { loadBalancer: { ingress: [{ ip: '203.0.113.5' }] } },
    });
  const outside = ['0.0.0.0:30080/TCP', '203.0.113.5:80/TCP'];
  assert.deepEqual(algorithms(annotated('maglev')), outside);
  assert.deepEqual(algorithms(service(spec), 'maglev'), ['0.0.0.0:30080/TCP']);
  assert.deepEqual([algorithms(annotated('random'), 'maglev'), algorithms(service(spec))], [[], []]);
  const local = annotated('maglev', { externalTrafficPolicy: 'Local' });
  assert.deepEqual(
    algorithms(local),
    outside.map((key) => `${key}/external`),
  );
});

/** Keys of what is served, and of what is not with the reason. */
const whole = (of: ReturnType<typeof loadBalanced>) => ({
  served: desiredFrontends(of, [], viewpoint).map(({ key }) => key),
  unserved: unservedFrontends(of, viewpoint).map(({ key, reason }) => `${key}: ${reason}`),
});

test('an address that a controller of any class has given is served, with and without NodePorts', () => {
  const served = ['10.96.0.5:80/TCP', '203.0.113.5:80/TCP'];
  const spec = { loadBalancerClass: 'example.org/lb', externalIPs: [] };
  assert.deepEqual(whole(loadBalanced(spec)).served, [served[0], '0.0.0.0:30080/TCP', served[1]]);
  const without = { ...spec, allocateLoadBalancerNodePorts: false, ports: [{ name: 'http', port: 80 }] };
  assert.deepEqual(whole(loadBalanced(without)).served, served);
  assert.deepEqual(whole(loadBalanced(without, [])).served, [served[0]], 'nobody has given it an address yet');
});

test('CVE-2021-25736: an address that is only asked for, and that nobody has given, is nowhere', () => {
  const asked = { loadBalancerIP: '203.0.113.5', externalIPs: [] };
  assert.deepEqual(whole(loadBalanced(asked, [])).served, ['10.96.0.5:80/TCP', '0.0.0.0:30080/TCP']);
});

test('a service is served in the families of its cluster addresses alone, and says so of others', () => {
  const ingress = [{ ip: '203.0.113.5' }, { ip: '2001:db8::5' }];
  const spec = { externalIPs: ['198.51.100.7', '2001:db8::7'], ports: [{ port: 80, nodePort: 30_080 }] };
  const only = (clusterIp: string) => whole(loadBalanced({ ...spec, clusterIPs: [clusterIp] }, ingress));
  assert.deepEqual(only('10.96.0.5'), {
    served: ['10.96.0.5:80/TCP', '0.0.0.0:30080/TCP', '203.0.113.5:80/TCP', '198.51.100.7:80/TCP'],
    unserved: [
      '[2001:db8::5]:80/TCP: the service has no cluster address of IPv6 (spec.ipFamilies)',
      '[2001:db8::7]:80/TCP: the service has no cluster address of IPv6 (spec.ipFamilies)',
    ],
  });
  assert.deepEqual(only('fd00:10:96::5').served, [
    '[fd00:10:96::5]:80/TCP',
    '[::]:30080/TCP',
    '[2001:db8::5]:80/TCP',
    '[2001:db8::7]:80/TCP',
  ]);
  const both = whole(loadBalanced({ ...spec, ...dual }, ingress));
  assert.deepEqual([both.served.length, both.unserved], [8, []]);
});

test('a headless service is not proxied, whatever addresses it names', () => {
  const headless = { clusterIPs: undefined, clusterIP: 'None', ports: [{ port: 80 }], externalIPs: ['198.51.100.7'] };
  assert.deepEqual(whole(loadBalanced(headless, [])), {
    served: [],
    unserved: ['198.51.100.7:80/TCP: the service has no cluster address, and is not proxied'],
  });
});

test('a service without selector has the endpoints that somebody writes, on no node, outside of the cluster', () => {
  const written = parseEndpointSlice({
    metadata: { namespace: 'shop', name: 'by-hand', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 9376 }],
    endpoints: [{ addresses: ['192.0.2.42'] }, { addresses: ['192.0.2.43'], conditions: { ready: false } }],
  });
  assert.deepEqual(backendsOf([written]), ['192.0.2.42:9376/TCP active']);
  const local = loadBalanced({ externalTrafficPolicy: 'Local', externalIPs: [] }, []);
  assert.deepEqual(served(local, [written]).at(-1), '0.0.0.0:30080/TCP/external all, elsewhere: ');
});

test('1,500 endpoints in 15 slices are each a backend once, in one order, however the slices come', () => {
  const address = (index: number) => `10.244.${Math.floor(index / 250)}.${1 + (index % 250)}`;
  const slices = Array.from({ length: 15 }, (_, number) =>
    // Each begins with the last of the one before it, as while endpoints move from slice to slice.
    slice(
      Array.from({ length: 101 }, (_, index) => ({ address: address(Math.max(0, number * 100 + index - 1)) })),
      { metadata: { namespace: 'shop', name: `web-${number}`, labels: { 'kubernetes.io/service-name': 'web' } } },
    ),
  );
  const found = backendsOf(slices);
  assert.deepEqual([found.length, new Set(found).size], [1500, 1500]);
  assert.deepEqual(backendsOf(slices.toReversed()), found);
});

test('an endpoint that offers a port of one name by several numbers is a backend for each', () => {
  const by = (port: number) => slice([{ address: '10.244.1.2' }], { ports: [{ name: 'http', protocol: 'TCP', port }] });
  assert.deepEqual(backendsOf([by(8080), by(9090)]), ['10.244.1.2:8080/TCP active', '10.244.1.2:9090/TCP active']);
});

test('a port that is renamed has no endpoints until the slices call it so, too', () => {
  const renamed = service({ clusterIPs: ['10.96.0.5'], ports: [{ name: 'web', port: 80, protocol: 'TCP' }] });
  assert.deepEqual(backendsOf([slice([{ address: '10.244.1.2' }])], renamed), []);
  const followed = slice([{ address: '10.244.1.2' }], { ports: [{ name: 'web', protocol: 'TCP', port: 8080 }] });
  assert.deepEqual(backendsOf([followed], renamed), ['10.244.1.2:8080/TCP active']);
});

test('a port of SCTP has rows without backends, so that its addresses are the services’ own, and says why it is not served', () => {
  const ports = [{ port: 81, nodePort: 30_081, protocol: 'SCTP' }];
  const sctp = whole(loadBalanced({ ports, externalIPs: ['198.51.100.7'] }, [{ ip: '203.0.113.5' }]));
  const places = ['10.96.0.5:81/SCTP', '0.0.0.0:30081/SCTP', '203.0.113.5:81/SCTP', '198.51.100.7:81/SCTP'];
  assert.deepEqual(sctp.served, places);
  assert.equal(sctp.unserved.length, places.length);
  for (const text of sctp.unserved) assert.match(text, /SCTP is not served: its ports stand in a checksum/);
  const offered = parseEndpointSlice({
    metadata: { namespace: 'shop', name: 'web-a', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [{ name: '', port: 81, protocol: 'SCTP' }],
    endpoints: [{ addresses: ['10.244.0.9'] }],
  });
  for (const row of served(loadBalanced({ ports, externalIPs: [] }, []), [offered])) assert.match(row, /: $/);
});
