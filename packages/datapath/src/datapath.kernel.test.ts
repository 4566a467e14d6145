import assert from 'node:assert/strict';
import { existsSync, linkSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { BpfMap, LayoutMismatchError, MapType, Program, queryTcx } from '@sluice/bpf';
import { parseAddress } from '@sluice/net';
import { installationRoot, silentLogger } from '@sluice/runtime';
import { leakCheck, temporaryBpffs, temporaryCgroup } from '@sluice/testing';
import { streamDatagrams } from '../test/datagrams.ts';
import { createTestNode, dropsOf, type TestNode } from '../test/node.ts';
import { configuration } from '../test/programs.ts';
import { TCP, writeService } from '../test/services.ts';
import { tcpServer, tcpSocket } from '../test/sockets.ts';
import { type Datapath, DropReason, endpointsMap, openDatapath, type PacketDrop } from './index.ts';

function programIds(node: TestNode): Map<string, number> {
  return new Map(node.datapath.links().map(({ name, programId }) => [name, programId]));
}

test('opening again loads nothing when all is as it was', () => {
  using node = createTestNode(1);
  node.addPod(10, 1000);
  const before = programIds(node);
  using again = node.openDatapath();
  assert.deepEqual(programIds(node), before);
  assert.deepEqual(
    again.programUsage().map(({ name, id }) => [name, id]),
    node.datapath.programUsage().map(({ name, id }) => [name, id]),
  );
});

test('a set of pinned programs that is not whole is loaded anew, and old sets go', () => {
  using node = createTestNode(1);
  node.addPod(10, 1000);
  const before = programIds(node);
  const sets = join(node.bpffs, 'sluice', 'programs');
  const [set] = readdirSync(sets);
  rmSync(join(sets, String(set), 'pod_from_pod'));
  assert.deepEqual(node.datapath.unpinned(), ['pod_from_pod']);
  using again = node.openDatapath();
  assert.deepEqual(again.unpinned(), []);
  for (const [name, id] of programIds(node)) assert.notEqual(id, before.get(name), name);
  assert.deepEqual(readdirSync(sets), [set]);
  again.reconfigure({ ...node.configuration, nodeIdentity: 77 });
  const [changed, ...others] = readdirSync(sets);
  assert.notEqual(changed, set);
  assert.deepEqual(others, []);
});

const impostors: readonly [string, (path: string, node: TestNode) => void][] = [
  ['a directory', (path) => mkdirSync(join(path, 'deeper'), { recursive: true })],
  ['a map', (path) => pinForeignMap(path)],
  ['a link', (path, node) => linkSync(join(node.bpffs, 'sluice', 'links', 'pod_slc10'), path)],
  ['another program', (path) => linkSync(join(dirname(path), 'netdev_to_network'), path)],
];
for (const [what, put] of impostors) {
  test(`where ${what} stands in place of a pinned program, the set is loaded anew`, () => {
    using node = createTestNode(1);
    node.addPod(10, 1000);
    const sets = join(node.bpffs, 'sluice', 'programs');
    const path = join(sets, String(readdirSync(sets)[0]), 'pod_from_pod');
    rmSync(path);
    put(path, node);
    const before = programIds(node);
    using again = node.openDatapath();
    assert.deepEqual(again.unpinned(), []);
    assert.equal(readdirSync(sets).length, 1);
    for (const [name, id] of programIds(node)) assert.notEqual(id, before.get(name), name);
    const { programs } = node.namespace.run(() => queryTcx(node.netlink.links.get('slc10')?.ifindex ?? 0, 'ingress'));
    using attached = Program.openById(programs[0]?.programId ?? 0);
    assert.equal(attached.info().name, 'pod_from_pod');
  });
}

function pinForeignMap(path: string): void {
  using foreign = BpfMap.create({ name: 'foreign', type: MapType.hash, keySize: 4, valueSize: 8, maxEntries: 16 });
  foreign.pin(path);
}

test('opening with another configuration finds the maps as they were and puts new programs into the same links', () => {
  using node = createTestNode(1);
  node.addPod(10, 1000);
  const before = programIds(node);
  const attached = node.namespace.run(() => queryTcx(node.netlink.links.get('slc10')?.ifindex ?? 0, 'ingress'));
  using again = node.openDatapath({ ...node.configuration, nodeIdentity: 77 });
  assert.equal(again.maps.endpoints.count(), node.datapath.maps.endpoints.count());
  const after = programIds(node);
  assert.deepEqual([...after.keys()], [...before.keys()]);
  for (const [name, id] of after) assert.notEqual(id, before.get(name), name);
  const attachedAfter = node.namespace.run(() => queryTcx(node.netlink.links.get('slc10')?.ifindex ?? 0, 'ingress'));
  assert.equal(attachedAfter.programs[0]?.linkId, attached.programs[0]?.linkId);
});

test('a map that lost its pin is pinned again, so that the next opening finds its rows', () => {
  using node = createTestNode(1);
  node.addPod(10, 1000);
  const rows = node.datapath.maps.endpoints.count();
  assert.deepEqual(node.datapath.unpinned(), []);
  rmSync(join(node.bpffs, 'sluice', 'maps'), { recursive: true });
  assert.equal(node.datapath.unpinned().length, node.datapath.mapUsage().length);
  node.datapath.repin();
  assert.deepEqual(node.datapath.unpinned(), []);
  using again = node.openDatapath();
  assert.equal(again.maps.endpoints.count(), rows);
});

test('a map that needs more room is followed by a larger one with its rows, and never by a smaller one', () => {
  using node = createTestNode(1);
  const rowsOf = (datapath: Datapath) => datapath.mapUsage().find(({ name }) => name === 'maglev')?.maxEntries;
  const slots = new Uint16Array(2_000).fill(7);
  const key = { serviceId: 1, generation: 2, chunk: 3 };
  node.datapath.maps.maglev.update(key, { checksum: 4, slots });
  const open = (mapSizes: Record<string, number>) =>
    node.namespace.run(() =>
      openDatapath({
        ...{ bpffs: node.bpffs, cgroupPath: node.cgroupPath, objectsDirectory: `${installationRoot()}/bpf/build` },
        ...{ configuration: node.configuration, log: silentLogger, mapSizes },
      }),
    );
  const small = rowsOf(node.datapath) ?? 0;
  for (const [wanted, expected] of [
    [2 * small, 2 * small],
    [small, 2 * small],
    [undefined, 2 * small],
  ] as const) {
    using again = open(wanted === undefined ? {} : { maglev: wanted });
    assert.equal(rowsOf(again), expected);
    assert.deepEqual(again.maps.maglev.lookup(key), { checksum: 4, slots });
  }
});

test('a successor that an interrupted start has left behind goes with the next one that wants none', () => {
  using node = createTestNode(1);
  const maps = join(node.bpffs, 'sluice', 'maps');
  pinForeignMap(join(maps, 'maglev_next'));
  mkdirSync(join(maps, 'slots_next'));
  using again = node.openDatapath();
  assert.deepEqual(again.unpinned(), []);
  assert.deepEqual(
    readdirSync(maps).filter((name) => name.endsWith('_next')),
    [],
  );
});

test('a map whose pin is gone is found again by the programs that use it', () => {
  using node = createTestNode(1);
  node.addPod(10, 1000);
  const rows = [...node.datapath.maps.endpoints.entries()];
  rmSync(join(node.bpffs, 'sluice', 'maps'), { recursive: true });
  using again = node.openDatapath();
  assert.deepEqual([...again.maps.endpoints.entries()], rows);
  assert.deepEqual(again.unpinned(), []);
});

test('links whose pins somebody removes stay where they are, and are pinned again', () => {
  using node = createTestNode(1);
  const pod = node.addPod(10, 1000);
  const attached = () => node.namespace.run(() => queryTcx(pod.ifindex, 'ingress')).programs;
  const before = attached();
  assert.equal(before.length, 1);
  rmSync(join(node.bpffs, 'sluice', 'links'), { recursive: true });
  assert.deepEqual(attached(), before);
  assert.ok(node.datapath.unpinned().includes('pod_slc10'));
  node.datapath.repin();
  assert.deepEqual(node.datapath.unpinned(), []);
  assert.deepEqual(attached(), before);
  using again = node.openDatapath();
  assert.deepEqual(again.listPodLinks(), [{ device: 'slc10', ifindex: pod.ifindex }]);
});

test('closing detaches nothing: traffic goes on without a process', () => {
  using node = createTestNode(1);
  const [client, server] = [node.addPod(10, 1000), node.addPod(11, 1001)];
  using listening = tcpServer(server, server.addresses.ipv4, 8080);
  using connected = tcpSocket(client, 4);
  connected.connect(server.addresses.ipv4, 8080);
  using accepted = listening.accept();
  node.datapath[Symbol.dispose]();
  connected.send('still here');
  assert.equal(accepted?.receive(), 'still here');
  using fresh = tcpSocket(client, 4);
  fresh.connect(server.addresses.ipv4, 8080);
});

test('programs are replaced under traffic, and every packet meets one', async () => {
  using node = createTestNode(1);
  const [client, server] = [node.addPod(10, 1000), node.addPod(11, 1001)];
  await using stream = await streamDatagrams(client, server, { address: server.addresses.ipv4, port: 8080 });
  for (let replacement = 0; replacement < 5; replacement += 1) {
    const before = stream.received();
    const nodeIdentity = node.configuration.nodeIdentity + 1 + replacement;
    const programs = programIds(node);
    node.namespace.run(() => node.datapath.reconfigure({ ...node.configuration, nodeIdentity }));
    assert.notDeepEqual(programIds(node), programs);
    assert.ok(stream.received() > before, `none of ${stream.sent} datagrams came during the replacement`);
  }
  const { sent, received } = await stream.end();
  assert.equal(received, sent);
  assert.deepEqual(dropsOf(node), {});
  const forwarded = node.datapath.maps.counters.lookup({ reason: DropReason.Forwarded, direction: 1 });
  const packets = forwarded?.reduce((sum, counter) => sum + Number(counter.packets), 0) ?? 0;
  assert.ok(packets >= sent, `${packets} of ${sent} packets met a program`);
});

test('a link whose device is gone is removed on opening and made anew for a new device of the name', () => {
  using node = createTestNode(1);
  const pod = node.addPod(10, 1000);
  node.netlink.links.delete(pod.ifindex);
  const dead = node.datapath.links().find(({ name }) => name === 'pod_slc10');
  assert.deepEqual([dead?.attached, dead?.why], [false, 'its device is gone, or somebody has detached it']);
  node.netlink.links.create({ kind: 'veth', name: pod.device, peer: { name: 'peer10' } });
  const ifindex = node.netlink.links.get(pod.device)?.ifindex ?? 0;
  node.namespace.run(() => node.datapath.attachPod(pod.device, ifindex));
  assert.equal(node.datapath.links().find(({ name }) => name === 'pod_slc10')?.ifindex, ifindex);
  node.netlink.links.delete(ifindex);
  using again = node.openDatapath();
  assert.deepEqual(again.listPodLinks(), []);
});

test('detaching a pod twice is one success and one nothing', () => {
  using node = createTestNode(1);
  const pod = node.addPod(10, 1000);
  assert.deepEqual(node.datapath.listPodLinks(), [{ device: pod.device, ifindex: pod.ifindex }]);
  node.datapath.detachPod(pod.device);
  node.datapath.detachPod(pod.device);
  assert.deepEqual(node.datapath.listPodLinks(), []);
  assert.deepEqual(node.namespace.run(() => queryTcx(pod.ifindex, 'ingress')).programs, []);
});

test('socket hooks that are detached leave sockets alone, and twice is once', () => {
  using node = createTestNode(1);
  const sockLinks = () => node.datapath.links().filter(({ name }) => name.startsWith('sock_'));
  assert.equal(sockLinks().length, 11);
  const [client, server] = [node.addPod(10, 1000), node.addPod(11, 1001)];
  using listening = tcpServer(server, server.addresses.ipv4, 8080);
  const service = parseAddress('10.96.0.20');
  const backends = [{ id: 1, address: server.addresses.ipv4, port: 8080 }];
  writeService(node.datapath.maps, { id: 1, address: service, port: 80, protocol: TCP, backends });
  using translated = tcpSocket(client, 4);
  translated.connect(service, 80);
  using accepted = listening.accept();
  node.datapath.detachSock();
  node.datapath.detachSock();
  assert.deepEqual(sockLinks(), []);
  // Nobody would tell of their ends.
  assert.deepEqual(node.datapath.inspection().translations('connected_sockets'), []);
  translated.send('still here');
  assert.equal(accepted?.receive(), 'still here');
  using untranslated = tcpSocket(client, 4);
  untranslated.connect(service, 80);
  const aliases = [...node.datapath.maps.conntrack.entries()].filter(([tuple]) => tuple.destination === service);
  assert.equal(aliases.length, 1, 'its packets are translated instead');
});

test('a drop is an event for who listens', async () => {
  using node = createTestNode(1);
  const pod = node.addPod(10, 1000);
  const seen: PacketDrop[] = [];
  using events = node.datapath.events((event) => void (event.type === 'drop' && seen.push(event)));
  using client = tcpSocket(pod, 4);
  const nobody = parseAddress('10.96.0.77');
  node.datapath.maps.frontends.update(
    { address: nobody, port: 0, protocol: 0, scope: 0 },
    { serviceId: 1, generation: 1, backendCount: 0, affinitySeconds: 0, affinityId: 0, maglevSize: 0, flags: 0 },
  );
  assert.throws(() => client.connect(nobody, 80), { code: 'ECONNREFUSED' });
  while (seen.length === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([seen[0]?.reason, seen[0]?.destination], [DropReason.NoBackend, nobody]);
  assert.equal(events.lost(), 0n);
});

test('usage tells what the kernel has', () => {
  using node = createTestNode(1);
  const pod = node.addPod(10, 1000);
  for (const generation of [1, 2, 3])
    node.datapath.maps.sourceRanges.update(
      { prefixLength: 64, serviceId: 1, generation, address: parseAddress('::') },
      1,
    );
  const maps = new Map(node.datapath.mapUsage().map((usage) => [usage.name, usage]));
  // Router and node addresses of both families, and the pod's two.
  assert.equal(maps.get('endpoints')?.entries, 6);
  assert.equal(maps.get('endpoints')?.maxEntries, endpointsMap.maxEntries);
  assert.equal(maps.get('ipcache_prefix')?.entries, node.datapath.maps.ipcachePrefix.count());
  assert.equal(maps.get('source_ranges')?.entries, 3);
  const bytes = node.datapath.mapUsage().reduce((sum, usage) => sum + usage.bytes, 0);
  assert.ok(bytes < 24 << 20, `empty maps take ${bytes} bytes`);
  assert.ok((maps.get('slots')?.bytes ?? 0) > 0);
  assert.equal(maps.get('connected_translations')?.entries, 0);
  assert.equal(maps.get('translations')?.entries, 0);
  const programs = new Map(node.datapath.programUsage().map((usage) => [usage.name, usage]));
  assert.deepEqual(programs.get('pod_from_pod')?.attachedTo, [`pod_${pod.device}`]);
  assert.ok((programs.get('sock_connect4')?.instructions ?? 0) > 100);
});

test('uninstall leaves no pin and no program', () => {
  using node = createTestNode(1);
  const pod = node.addPod(10, 1000);
  node.datapath.uninstall();
  assert.equal(existsSync(`${node.bpffs}/sluice`), false);
  assert.deepEqual(node.namespace.run(() => queryTcx(pod.ifindex, 'ingress')).programs, []);
});

test('a pinned map of another layout is refused with both layouts and what to do, and stays', () => {
  using bpffs = temporaryBpffs();
  using cgroup = temporaryCgroup();
  {
    using foreign = BpfMap.create({ name: 'endpoints', type: MapType.hash, keySize: 4, valueSize: 8, maxEntries: 16 });
    foreign.pin(`${bpffs.path}/sluice/maps/endpoints`);
  }
  const open = () =>
    openDatapath({
      bpffs: bpffs.path,
      cgroupPath: cgroup.path,
      objectsDirectory: `${installationRoot()}/bpf/build`,
      configuration,
      log: silentLogger,
    });
  const isClear = (error: Error) =>
    error instanceof LayoutMismatchError && /\nremove .*\/sluice\/maps\/endpoints, /.test(error.message);
  assert.throws(open, isClear);
  assert.ok(readdirSync(`${bpffs.path}/sluice/maps`).includes('endpoints'));
});

test('opening and closing leaves no descriptor behind', () => {
  using node = createTestNode(1);
  using _leaks = leakCheck();
  using again = node.openDatapath();
  again.mapUsage();
});
