import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conflictKey, type FrontendConflict, type FrontendRow } from '@sluice/loadbalancer';
import { Table } from '@sluice/state';
import { conflictingPlaces, refusedExternalIps } from './others-places.ts';

test('an external address is somebody else’s where it has an owner: another family or protocol, and a claim, are not', () => {
  const frontends = new Table<FrontendRow>({ name: 'frontends', key: ({ key }) => key, columns: {} });
  const conflicts = new Table<FrontendConflict>({ name: 'conflicts', key: conflictKey, columns: {} });
  const place = { type: 'ExternalIP', portName: 'http', service: 'shop/web' } as const;
  const row: FrontendRow = {
    ...{ ...place, key: '', id: 0, sourceRanges: undefined, isNodeAllowed: true, algorithm: 'random' },
    ...{ whyRandom: undefined, forwarding: undefined, policy: 'Cluster', affinitySeconds: 0, unused: undefined },
    ...{ backends: [], state: 'off', reason: 'it is the node’s' },
  };
  const claim = { ...place, frontend: '192.0.2.9:80/TCP', owner: 'shop/older' };
  for (const key of [
    '10.10.30.102:80/TCP of shop/web',
    '[2001:db8::9]:80/TCP',
    '192.0.2.9:80/SCTP',
    conflictKey(claim),
  ])
    frontends.upsert({ ...row, key });
  frontends.upsert({ ...row, key: '192.0.2.9:81/TCP', id: 7, state: 'done' });
  conflicts.upsert(claim);
  assert.deepEqual(refusedExternalIps({ frontends, conflicts }), [
    { key: '10.10.30.102:80/TCP of shop/web', reason: 'it is the node’s' },
  ]);
  assert.deepEqual(conflictingPlaces({ conflicts }), [
    { key: '192.0.2.9:80/TCP of shop/web', reason: '192.0.2.9:80/TCP belongs to the older service shop/older' },
  ]);
});
