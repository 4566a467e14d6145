import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConnectionReport } from '@sluice/agent';
import { agent, sluice } from '../test-agent.ts';

const end = (address: string, port: number, name = '') => ({ address, port, name });

const toBackend: ConnectionReport = {
  protocol: 'TCP',
  source: end('10.244.0.5', 40_000, 'shop/web'),
  destination: end('10.244.1.7', 8080, 'shop/db-0'),
  sourceIdentity: '4711',
  destinationIdentity: '4712',
  frontend: end('10.96.0.9', 80, 'service shop/db'),
  translatedSource: undefined,
  dsr: undefined,
  state: 'established',
  isEvictable: false,
  ageSeconds: 75.2,
  expiresSeconds: 7_990,
  packets: { sent: 3, replied: 2 },
  bytes: { sent: 300, replied: 200 },
};
const intoWorld: ConnectionReport = {
  ...toBackend,
  protocol: 'UDP',
  source: end('fd00:10:244::5', 5000),
  destination: end('2001:db8:100::10', 53),
  frontend: undefined,
  translatedSource: end('fd00:10:10:30::101', 51_000, 'node k8s-cp1'),
  state: 'new',
};

const lines = (...rows: readonly ConnectionReport[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

test('ct list tells whose part of a service with DSR is here', async () => {
  for (const [dsr, text] of [
    ['asked', 'answered by the node of the backend'],
    ['answering', 'asked at another node'],
  ] as const) {
    using server = await agent({ '/connections': lines({ ...toBackend, dsr }) });
    const { out } = await sluice(['ct', 'list', '--socket', server.socket]);
    assert.match(out, new RegExp(`for service shop/db:80, ${text}$`, 'm'));
  }
});

test('ct list shows both ends by name, state, times, traffic and translation', async () => {
  using server = await agent({ '/connections': lines(intoWorld, toBackend) });
  const { out } = await sluice(['ct', 'list', '--socket', server.socket]);
  assert.deepEqual(
    out
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/ {3,}/)),
    [
      ['PROTOCOL', 'SOURCE', 'DESTINATION', 'STATE', 'AGE', 'EXPIRES IN', 'PACKETS', 'BYTES', 'TRANSLATED'],
      [
        'TCP',
        'shop/web:40000',
        'shop/db-0:8080',
        'established',
        '1m15s',
        '2h13m',
        '3/2',
        '300/200',
        'for service shop/db:80',
      ],
      [
        'UDP',
        '[fd00:10:244::5]:5000',
        '[2001:db8:100::10]:53',
        'new',
        '1m15s',
        '2h13m',
        '3/2',
        '300/200',
        'as node k8s-cp1:51000',
      ],
    ],
  );
  const wide = await sluice(['ct', 'list', '-o', 'wide', '--socket', server.socket]);
  assert.match(wide.out, /shop\/web:40000 \(10\.244\.0\.5\)/);
  const json = await sluice(['ct', 'list', '-o', 'json', '--socket', server.socket]);
  assert.deepEqual(JSON.parse(json.out)[0].source, { address: '10.244.0.5', port: 40_000, name: 'shop/web' });
});

test('nat list shows who asks whom, where that goes, and what is seen', async () => {
  using server = await agent({ '/connections?translated=true&pod=shop%2Fweb': lines(toBackend, intoWorld) });
  const { out } = await sluice(['nat', 'list', '--pod', 'shop/web', '--socket', server.socket]);
  assert.match(out, /^TCP +shop\/web:40000 +service shop\/db:80 +shop\/db-0:8080 +shop\/web:40000 +1m15s$/m);
  assert.match(
    out,
    /^UDP +\[fd00:10:244::5\]:5000 +\[2001:db8:100::10\]:53 +\[2001:db8:100::10\]:53 +node k8s-cp1:51000 +1m15s$/m,
  );
});

test('an answer that is no connection is told as such', async () => {
  using server = await agent({ '/connections': '{"protocol":"TCP"}\n' });
  const { err, exitCode } = await sluice(['ct', 'list', '--socket', server.socket]);
  assert.deepEqual([exitCode, /answer to \/connections is not understood: source is no object/.test(err)], [1, true]);
});
