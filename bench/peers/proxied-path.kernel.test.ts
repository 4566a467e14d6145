// kube-proxy's rules in namespaces, loaded by the machine's own tools: connections go where they should. Needs root and `npm run build`.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip, type Place, runInside, runInsideSync } from '../environment/inside.ts';
import { benchLoad, serve, serverPort, shortConnections } from '../environment/load.ts';
import { type BenchNetwork, benchNetwork, cable, forwarding } from '../environment/network.ts';
import { nftablesRules } from './nftables-rules.ts';
import { proxiedPath, proxyModes } from './proxied-path.ts';
import { type ProxyService, serviceNetwork } from './proxy-service.ts';

for (const mode of proxyModes) {
  test(`${mode.name}: connections reach the service, before and after a change of it`, async () => {
    using network = benchNetwork();
    await using stack = new AsyncDisposableStack();
    const { client, service, change, tracked } = await proxiedPath({ network, stack }, { mode, services: 20 });
    await shortConnections(client, service, 20);
    change();
    await shortConnections(client, service, 20);
    assert.ok(tracked() >= 40, `${tracked()} connections tracked`);
  });
}

const nodeAddress = '192.0.2.1';
const pods = [
  { address: '10.244.1.2', gateway: '10.244.1.1' },
  { address: '10.244.2.2', gateway: '10.244.2.1' },
];
const endpoints = pods.map(({ address }) => ({ address, port: serverPort, isLocal: true }));
const balanced: ProxyService = { name: 'balanced', address: '10.96.0.1', port: 80, nodePort: 30_001, endpoints };
const single = {
  ...balanced,
  name: 'single',
  address: '10.96.0.2',
  nodePort: 30_002,
  endpoints: endpoints.slice(0, 1),
};
const sticky = { ...balanced, name: 'sticky', address: '10.96.0.3', nodePort: 30_003, affinitySeconds: 60 };
const empty = { ...balanced, name: 'empty', address: '10.96.0.4', nodePort: 30_004, endpoints: [] };

interface Scene {
  readonly outside: Place;
  readonly pods: readonly Place[];
}

/**
 * Somebody outside, a node with the rules of nftables, and two pods that answer `1` and `2`. They have no way to the
 * outside: an answer means that the source was translated as well.
 */
async function scene(network: BenchNetwork, stack: AsyncDisposableStack): Promise<Scene> {
  // Each refusal is an ICMP error, of which a host gets one a second.
  const node = network.namespace({ ...forwarding, 'net/ipv4/icmp_ratelimit': '0' });
  const outside = network.namespace();
  cable(
    { netns: outside, device: 'eth0', address: '192.0.2.2/24' },
    { netns: node, device: 'out', address: `${nodeAddress}/24` },
  );
  ip(outside, `route add default via ${nodeAddress}`);
  const places = pods.map(() => ({ netns: network.namespace() }));
  for (const [index, { address, gateway }] of pods.entries()) {
    const netns = places[index]?.netns ?? '';
    cable(
      { netns, device: 'eth0', address: `${address}/24` },
      { netns: node, device: `pod${index}`, address: `${gateway}/24` },
    );
    ip(netns, `route add ${serviceNetwork} via ${gateway}`);
    stack.use(await serve({ netns }, `${index + 1}`));
  }
  // What has no route is not refused by rules; by the way that it came there would be a redirect and no refusal.
  ip(node, `route add default via ${pods[0]?.address}`);
  const rules = nftablesRules([balanced, single, sticky, empty], { nodeAddresses: [nodeAddress] });
  runInsideSync({ netns: node }, ['nft', '-f', '-'], rules);
  return { outside: { netns: outside }, pods: places };
}

/** Who answered, of several connections. */
async function answers(place: Place, address: string, port: number): Promise<string[]> {
  const output = await runInside(place, [benchLoad, 'connect', address, String(port), '--count', '40']);
  return Object.keys(JSON.parse(output).answers).sort();
}

test('nftables: who asks the ClusterIP or the NodePort gets what the service promises', async (t) => {
  using network = benchNetwork();
  await using stack = new AsyncDisposableStack();
  const { outside, pods } = await scene(network, stack);
  const ways = (service: ProxyService) =>
    [
      [service.address, service.port],
      [nodeAddress, service.nodePort ?? 0],
    ] as const;

  await t.test('both endpoints in turn', async () => {
    for (const [address, port] of ways(balanced)) assert.deepEqual(await answers(outside, address, port), ['1', '2']);
  });
  await t.test('the only endpoint', async () => {
    for (const [address, port] of ways(single)) assert.deepEqual(await answers(outside, address, port), ['1']);
  });
  await t.test('with affinity one endpoint, by both ways the same', async () => {
    const [byAddress, byPort] = await Promise.all(
      ways(sticky).map(([address, port]) => answers(outside, address, port)),
    );
    assert.equal(byAddress?.length, 1);
    assert.deepEqual(byPort, byAddress);
  });
  await t.test('a refusal without endpoints, and at a port that is no service', async () => {
    for (const [address, port] of [...ways(empty), [balanced.address, 81] as const])
      await assert.rejects(answers(outside, address, port), /refused/i, `${address}:${port}`);
  });
  await t.test('a pod reaches itself', async () => {
    assert.deepEqual(await answers(pods[0] ?? outside, single.address, single.port), ['1']);
  });
});
