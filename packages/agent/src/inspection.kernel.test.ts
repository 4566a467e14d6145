// What the commands that look into an agent ask: each question put to a real one.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { BpfMap, openMap } from '@sluice/bpf';
import { mapDescriptors } from '@sluice/datapath';
import { installationRoot } from '@sluice/runtime';
import { temporaryNetworkNamespace } from '@sluice/testing';
import { agentNode } from '../test/agent-process.ts';
import type { ConfigReport, MapRow, MapUsage, ProgramUsage } from './report.ts';

const needed = ['dist/bin/sluice-cni', 'bpf/build/pod.o'].filter((path) => !existsSync(join(installationRoot(), path)));
const options = { skip: needed.length > 0 && `not built: ${needed.join(', ')}; npm run build makes it` };

test('every map can be dumped, and has the entries that its pin has', options, async () => {
  await using node = agentNode();
  using pod = temporaryNetworkNamespace();
  await node.start();
  assert.equal(node.cni('ADD', 'c1', pod.path).status, 0);
  const maps = (await node.get('/maps')) as MapUsage[];
  assert.deepEqual(maps.map(({ name }) => name).sort(), Object.keys(mapDescriptors).sort());
  for (const { name, type } of maps.filter(({ type: of }) => of !== 'ringbuf')) {
    const rows = await node.rows(`/maps/${name}?limit=3`);
    assert.ok(rows.length <= 3, name);
    for (const row of rows as MapRow[]) assert.ok('key' in row && 'value' in row, `${name} (${type})`);
  }
  const endpoints = (await node.rows('/maps/endpoints')) as MapRow[];
  using pinned = BpfMap.openPinned(join(node.bpffs, 'sluice/maps/endpoints'));
  const actual = [...openMap(pinned, mapDescriptors.endpoints).entries()];
  assert.deepEqual(
    endpoints.map(({ key }) => key),
    actual.map(([address]) => address),
  );
  const refused = (await node.get('/maps/events')) as { error: string };
  assert.match(refused.error, /is a ring of events/);
  assert.match(((await node.get('/maps/nothing')) as { error: string }).error, /no map nothing/);
});

test('programs are counted for as long as it is asked, and no longer', options, async () => {
  await using node = agentNode();
  await node.start();
  const measuring = node.get('/programs?measure=3') as Promise<ProgramUsage[]>;
  await new Promise((resolve) => setTimeout(resolve, 300));
  // Nobody answers there: what counts is that a program sees it leave. Not port 1: fetch() refuses that itself.
  node.ask('http://10.10.30.77:8080/');
  const measured = await measuring;
  const runs = new Map(measured.map(({ name, runCount }) => [name, runCount]));
  assert.ok((runs.get('netdev_to_network') ?? 0) > 0, JSON.stringify([...runs]));
  assert.ok((measured.find(({ name }) => name === 'netdev_to_network')?.averageNs ?? 0) > 10);
  assert.match(((await node.get('/programs?measure=0')) as { error: string }).error, /from 1 to 60 seconds/);
});

test('the configuration says of every option where it was set', options, async () => {
  await using node = agentNode();
  await node.start('MTU: 0\ntunnelPort: 8473\nencryption: { enabled: true }\n');
  const { values, options: all, lacked, warnings } = (await node.get('/config')) as ConfigReport;
  assert.deepEqual([values.ipv4.enabled, values.tunnelPort], [true, 8473]);
  const option = (name: string) => all.find((each) => each.name === name);
  assert.deepEqual(
    ['--daemon-set', '--cni-exclusive', '--health-port'].map((name) => option(name)?.value),
    ['kube-system/sluice', 'false', ''],
  );
  assert.match(option('tunnelPort')?.source ?? '', /values\.yaml:2$/);
  assert.deepEqual([option('tunnelPort')?.value, option('tunnelPort')?.standard], ['8473', '8472']);
  assert.equal(option('ipam.mode')?.source, 'default');
  assert.equal(option('--bpffs')?.value, node.bpffs);
  assert.ok(lacked.encryption);
  assert.match(warnings.join(), /encryption: accepted, but/);
});
