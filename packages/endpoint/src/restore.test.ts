import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { NodeAddresses } from '@sluice/ipam';
import { parseMac, parsePrefix } from '@sluice/net';
import { recordingLogger } from '@sluice/runtime';
import { temporaryDirectory } from '@sluice/testing';
import { endpoint } from '../test/endpoints.ts';
import { fakeDevices, fakeMaps, fakePrograms, vethLink } from '../test/fakes.ts';
import { addressesOf, addressRow, netnsRow } from './desired.ts';
import type { Endpoint } from './endpoint.ts';
import { formatEndpoint, parseEndpoint } from './endpoint-file.ts';
import { restoreEndpoints } from './restore.ts';
import { EndpointStore } from './store.ts';

const nodeMac = parseMac('02:00:00:00:00:01');

function world(endpoints: readonly Endpoint[]) {
  const directory = temporaryDirectory();
  const store = new EndpointStore(directory.path);
  const maps = fakeMaps();
  for (const each of endpoints) {
    store.save(each);
    for (const address of addressesOf(each)) maps.endpoints.update(address, addressRow(each, nodeMac));
    maps.netnsEndpoints.update(each.netnsCookie, netnsRow(each));
  }
  const addresses = new NodeAddresses({ ipv4: true, ipv6: true });
  addresses.setPrefixes([parsePrefix('10.0.0.0/24'), parsePrefix('fd00::/64')]);
  const devices = fakeDevices(endpoints.map((each) => vethLink(each.hostName, each.hostIfindex)));
  const log = recordingLogger();
  const path = (each: Endpoint) => join(directory.path, `${each.hostName}.json`);
  return {
    store,
    maps,
    addresses,
    devices,
    programs: fakePrograms(),
    log,
    path,
    [Symbol.dispose]: () => directory[Symbol.dispose](),
  };
}

test('an endpoint on disk reads back as it was', () => {
  const each = endpoint(1, 'a');
  assert.deepEqual(parseEndpoint(formatEndpoint(each)), each);
  const bare = { ...each, ipv6: undefined, gatewayIpv6: undefined, pod: undefined };
  assert.deepEqual(parseEndpoint(formatEndpoint(bare)), bare);
});

test('endpoints whose devices stand go on with a program attached, in order, and keep their addresses', () => {
  const [first, second] = [endpoint(1, 'a'), endpoint(2, 'b')];
  using it = world([second, first]);
  const report = restoreEndpoints(it);
  assert.deepEqual(report.endpoints, [first, second]);
  assert.deepEqual(
    [...it.programs.attached],
    [
      [first.hostName, 11],
      [second.hostName, 12],
    ],
  );
  assert.equal(it.addresses.allocate('new').ipv4, '10.0.0.13');
});

test('an endpoint whose device is gone or another one is dropped with its file, and the rest goes on', () => {
  const [gone, other, kept] = [endpoint(1, 'gone'), endpoint(2, 'other'), endpoint(3, 'kept')];
  using it = world([gone, other, kept]);
  it.devices.links.delete(gone.hostName);
  it.devices.links.set(other.hostName, vethLink(other.hostName, 99));
  const report = restoreEndpoints(it);
  assert.deepEqual(report.endpoints, [kept]);
  assert.deepEqual(report.dropped, [
    `gone/eth0: device ${gone.hostName} is gone`,
    `other/eth0: device ${other.hostName} is another one now`,
  ]);
  assert.deepEqual(it.store.load().endpoints, [kept]);
});

test("a program that cannot be attached is that endpoint's trouble, and the rest goes on", () => {
  const [troubled, fine] = [endpoint(1, 'troubled'), endpoint(2, 'fine')];
  using it = world([troubled, fine]);
  const programs = {
    ...it.programs,
    attachPod(name: string, ifindex: number) {
      if (name === troubled.hostName) throw new Error('no memory');
      it.programs.attachPod(name, ifindex);
    },
  };
  assert.deepEqual(restoreEndpoints({ ...it, programs }).endpoints, [troubled, fine]);
  assert.deepEqual([...it.programs.attached.keys()], [fine.hostName]);
  assert.match(JSON.stringify(it.log.lines), /troubled.*no memory|no memory.*troubled/);
});

test('an endpoint whose file is damaged is put together from the maps, so that its pod goes on', () => {
  const each = endpoint(7, 'torn');
  using it = world([each]);
  writeFileSync(it.path(each), '{"version":1,"id":7,');
  const report = restoreEndpoints(it);
  assert.equal(report.damaged.length, 1);
  const [salvaged] = report.endpoints;
  assert.deepEqual(
    [salvaged?.id, salvaged?.ipv4, salvaged?.ipv6, salvaged?.podMac, salvaged?.netnsCookie, salvaged?.identity],
    [7, each.ipv4, each.ipv6, each.podMac, each.netnsCookie, 4711],
  );
  assert.deepEqual([...it.programs.attached.keys()], [each.hostName]);
  assert.deepEqual(it.store.load().endpoints, report.endpoints);
});

test('a file that claims another pod’s address is not believed, and neither pod suffers', () => {
  const [liar, honest] = [endpoint(1, 'liar'), endpoint(2, 'honest')];
  using it = world([liar, honest]);
  it.store.save({ ...liar, ipv4: honest.ipv4 });
  const report = restoreEndpoints(it);
  assert.deepEqual(
    report.endpoints.map(({ hostName, ipv4, ipv6 }) => [hostName, ipv4, ipv6]),
    [honest, liar].map(({ hostName, ipv4, ipv6 }) => [hostName, ipv4, ipv6]),
  );
  assert.match(
    report.damaged[0]?.reason ?? '',
    new RegExp(`it says ${honest.ipv4}, which is the address of another pod`),
  );
  assert.deepEqual([report.damaged.length, report.dropped, report.leaked], [1, [], []]);
});

test('an endpoint whose file somebody removed is put together from the maps, too', () => {
  const [kept, lost] = [endpoint(1, 'kept'), endpoint(2, 'lost')];
  using it = world([kept, lost]);
  rmSync(it.path(lost));
  const report = restoreEndpoints(it);
  assert.deepEqual(
    report.endpoints.map(({ id, hostName, ipv4 }) => [id, hostName, ipv4]),
    [kept, lost].map(({ id, hostName, ipv4 }) => [id, hostName, ipv4]),
  );
  assert.deepEqual([report.leaked, report.damaged], [[], []]);
  assert.deepEqual(it.store.load().endpoints, report.endpoints);
});

test('a file that somebody removed is written again, and one that is there is left alone', () => {
  const each = endpoint(1, 'a');
  using it = world([each]);
  assert.equal(it.store.keep(each), false);
  rmSync(dirname(it.path(each)), { recursive: true });
  assert.equal(it.store.keep(each), true);
  assert.deepEqual(it.store.load().endpoints, [each]);
});

test('devices and links that nobody owns are removed', () => {
  const each = endpoint(1, 'a');
  using it = world([each]);
  it.devices.links.set('slc00000000ff', vethLink('slc00000000ff', 50));
  it.programs.attached.set('slc00000000ee', 51);
  assert.deepEqual(restoreEndpoints(it).leaked, ['slc00000000ee', 'slc00000000ff']);
  assert.deepEqual([...it.devices.links.keys()], [each.hostName]);
});

for (const [what, text] of [
  ['nothing', ''],
  ['half of it', '{"version":1,"id"'],
  ['another version', '{"version":2}'],
  ['a number that is text', '{"version":1,"id":"1"}'],
  ['a list', '[]'],
  ['bytes', '\u0000\u0001'],
] as const) {
  test(`a file with ${what} is moved aside by name and does not stop the start`, () => {
    const kept = endpoint(1, 'kept');
    const torn = endpoint(2, 'torn');
    using it = world([kept, torn]);
    writeFileSync(it.path(torn), text);
    const { damaged, endpoints } = it.store.load();
    assert.deepEqual([damaged[0]?.path, endpoints], [it.path(torn), [kept]]);
    assert.equal(it.store.load().damaged.length, 0);
  });
}

test('a file that was copied to another name is damaged', () => {
  const each = endpoint(1, 'a');
  using it = world([each]);
  writeFileSync(it.path(endpoint(2, 'b')), formatEndpoint(each));
  assert.match(it.store.load().damaged[0]?.reason ?? '', /belongs into another file/);
});
