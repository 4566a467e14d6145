import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agent, sluice } from '../test-agent.ts';

const rows = [
  {
    id: 2,
    backend: '10.244.1.10:80/TCP',
    state: 'active',
    node: 'k8s-cp2',
    zone: 'zone-a',
    services: ['a/x', 'a/y', 'a/z'],
    instances: 3,
  },
  {
    backend: '10.244.1.9:80/TCP',
    state: 'active',
    node: '',
    zone: '',
    services: ['a/x'],
    instances: 1,
    problem: 'map is full',
  },
];

test('backends are shown in their order with their services, and one that failed with its error', async () => {
  using server = await agent({ '/backends': rows.map((row) => `${JSON.stringify(row)}\n`).join('') });
  const { out } = await sluice(['backend', 'list', '--socket', server.socket]);
  assert.deepEqual(
    out.split('\n').map((line) => line.replaceAll(/ {3,}/g, ' | ')),
    [
      'ID | BACKEND | STATE | NODE | ZONE | INSTANCES | SERVICES | PROBLEM',
      'none | 10.244.1.9:80/TCP | active | 1 | a/x | map is full',
      '2 | 10.244.1.10:80/TCP | active | k8s-cp2 | zone-a | 3 | a/x, a/y +1 more',
      '',
    ],
  );
  const wide = await sluice(['backend', 'list', '-o', 'wide', '--socket', server.socket]);
  assert.match(wide.out, /a\/x, a\/y, a\/z$/m);
  const json = await sluice(['backend', 'list', '-o', 'json', '--socket', server.socket]);
  assert.deepEqual(JSON.parse(json.out), rows.toReversed());
});
