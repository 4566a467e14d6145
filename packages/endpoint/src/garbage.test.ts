import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpoint } from '../test/endpoints.ts';
import { fakeDevices, vethLink } from '../test/fakes.ts';
import { endpointTable } from './endpoint.ts';
import { GarbageSearch } from './garbage.ts';

test('what is found twice in a row is garbage; what is back or in progress is not', () => {
  const [lost, back] = [endpoint(1, 'lost'), endpoint(2, 'back')];
  const table = endpointTable(() => undefined);
  for (const each of [lost, back]) table.upsert(each);
  const leaked = 'slc00000000ff';
  const making = 'slc00000000ee';
  const devices = fakeDevices([vethLink(leaked, 50), vethLink(making, 51)]);
  const search = new GarbageSearch({ table, devices, inProgress: () => [making] });
  assert.deepEqual(search.next(), { lost: [], leaked: [] });
  devices.links.set(back.hostName, vethLink(back.hostName, back.hostIfindex));
  assert.deepEqual(search.next(), { lost: [lost], leaked: [leaked] });
});
