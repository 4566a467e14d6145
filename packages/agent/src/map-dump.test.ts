import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CtKind, CtState, createFakeDatapathMaps, type Datapath, DropReason, dropReasonText } from '@sluice/datapath';
import { parseAddress } from '@sluice/net';
import { dumpMap } from './map-dump.ts';
import type { MapRow } from './report.ts';

function datapathWith(maps: Readonly<Record<string, unknown>>): Datapath {
  return { anyMap: (name: string) => maps[name] } as unknown as Datapath;
}

async function rowsOf(dump: AsyncIterable<MapRow>): Promise<MapRow[]> {
  const rows: MapRow[] = [];
  for await (const row of dump) rows.push(row);
  return rows;
}

const all = { limit: Infinity, isPerCpu: false };

test('numbers that stand for words are words, addresses text, counters of all CPUs one', async () => {
  const maps = createFakeDatapathMaps();
  const tuple = {
    source: parseAddress('10.244.1.7'),
    destination: parseAddress('fd00::1'),
    sourcePort: 40_000,
    destinationPort: 80,
    protocol: 6,
  };
  maps.conntrack.update(tuple, {
    expiresNs: 1n,
    createdNs: 2n,
    packets: [3n, 4n],
    bytes: [5n, 6n],
    sourceIdentity: 1,
    destinationIdentity: 2,
    backendId: 0,
    generation: 0,
    dnat: { address: undefined, port: 0 },
    snat: { address: undefined, port: 0 },
    state: CtState.Established,
    kind: CtKind.Connection,
    tcpFlags: [0, 0],
    flags: 0,
    told: 0,
    clientPort: 0,
    formerPort: 0,
  });
  const counters = {
    descriptor: { keySize: 8 },
    *entries() {
      const value = { packets: 2n, bytes: 100n };
      yield [{ reason: DropReason.NoBackend, direction: 1 }, [value, { packets: 1n, bytes: 50n }]];
      yield [{ reason: 9_999, direction: 0 }, [value, value]];
    },
  };
  const datapath = datapathWith({ conntrack: maps.conntrack, counters });
  const [connection] = await rowsOf(dumpMap({ datapath, name: 'conntrack', ...all }));
  assert.deepEqual(connection?.key, { ...tuple, protocol: 'TCP' });
  const value = { ...(connection?.value as object) };
  assert.deepEqual(
    ['state', 'kind', 'packets'].map((field) => Reflect.get(value, field)),
    ['established', 'connection', [3n, 4n]],
  );
  const summed = await rowsOf(dumpMap({ datapath, name: 'counters', ...all }));
  assert.deepEqual(summed[0], {
    key: { reason: dropReasonText[DropReason.NoBackend].text, direction: 'egress' },
    value: { packets: 3n, bytes: 150n },
  });
  assert.deepEqual(summed[1]?.key, { reason: 9_999, direction: 'ingress' }, 'a number without a word stays one');
  const each = await rowsOf(dumpMap({ datapath, name: 'counters', limit: 1, isPerCpu: true }));
  assert.deepEqual(
    each.map(({ value }) => value),
    [
      [
        { packets: 2n, bytes: 100n },
        { packets: 1n, bytes: 50n },
      ],
    ],
  );
});

test('a map that is none, and a ring, are refused with what to do', async () => {
  const datapath = datapathWith({ events: { descriptor: { keySize: 0 } } });
  const dump = (name: string) => rowsOf(dumpMap({ datapath, name, ...all }));
  await assert.rejects(dump('nothing'), /no map nothing/);
  await assert.rejects(dump('events'), /is a ring of events, not a table: `sluice monitor`/);
});
