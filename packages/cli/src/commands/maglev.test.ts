import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agent, sluice } from '../test-agent.ts';

const row = { frontend: '203.0.113.5:80/TCP', service: 'shop/web', size: 16_381, node: 'k8s-cp1', entries: 8_190 };
const rows = [
  { ...row, backend: '10.244.10.2:80/TCP', entries: 8_191 },
  { ...row, backend: '10.244.9.2:80/TCP' },
  { ...row, frontend: '203.0.113.4:80/TCP', backend: '', node: '', entries: 381, problem: 'these lead nowhere' },
];

test('tables are shown in their order with the share of each backend, narrowed down by the agent', async () => {
  let asked = '';
  using server = await agent((url: string) => {
    asked = url;
    return rows.map((each) => `${JSON.stringify(each)}\n`).join('');
  });
  const filters = ['--service', 'shop/web', '-n', 'shop', '--backend', '10.244.0.0/16'];
  const { out, exitCode } = await sluice(['maglev', 'list', ...filters, '--socket', server.socket]);
  assert.equal(exitCode, 0);
  assert.deepEqual(
    out.split('\n').map((line) => line.replaceAll(/ {3,}/g, ' | ')),
    [
      'SERVICE | FRONTEND | TABLE | BACKEND | NODE | ENTRIES | SHARE | PROBLEM',
      'shop/web | 203.0.113.4:80/TCP | 16381 | 381 | 2.33% | these lead nowhere',
      'shop/web | 203.0.113.5:80/TCP | 16381 | 10.244.9.2:80/TCP | k8s-cp1 | 8190 | 50.00%',
      'shop/web | 203.0.113.5:80/TCP | 16381 | 10.244.10.2:80/TCP | k8s-cp1 | 8191 | 50.00%',
      '',
    ],
  );
  assert.deepEqual(
    [...new URL(asked, 'http://agent').searchParams],
    [
      ['service', 'shop/web'],
      ['namespace', 'shop'],
      ['backend', '10.244.0.0/16'],
    ],
  );
});
