import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NatPortsReport } from '@sluice/agent';
import { agent, sluice } from '../test-agent.ts';

const client = (name: string, address: string, ports: number) => ({ name, address, ports });

const full: NatPortsReport = {
  protocol: 'TCP',
  destination: { address: '198.51.100.10', port: 443, name: '' },
  source: { address: '10.10.30.101', name: 'node k8s-cp1' },
  ports: 32_768,
  portsMax: 32_768,
  isExhausted: true,
  clients: [
    client('shop/crawler-0', '10.244.0.5', 30_000),
    client('shop/web-1', '10.244.0.6', 2_000),
    client('', '10.244.0.9', 700),
    client('shop/web-2', '10.244.0.7', 68),
  ],
};
const little: NatPortsReport = {
  ...full,
  protocol: 'UDP',
  destination: { address: '2001:db8:100::10', port: 53, name: '' },
  source: { address: 'fd00:10:10:30::101', name: '' },
  ports: 3,
  isExhausted: false,
  clients: [client('shop/web-1', 'fd00:10:244::6', 3)],
};

async function top(path: string, ...args: readonly string[]) {
  using server = await agent({ [path]: JSON.stringify([full, little]) });
  return await sluice(['nat', 'top', ...args, '--socket', server.socket]);
}

test('nat top shows towards whom ports are taken, how many of how many, and who has most', async () => {
  const { out } = await top('/nat-ports?limit=10');
  assert.deepEqual(
    out
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/ {3,}/)),
    [
      ['PROTOCOL', 'DESTINATION', 'SEEN AS', 'PORTS', 'SHARE', 'CLIENTS'],
      [
        ...['TCP', '198.51.100.10:443', 'node k8s-cp1', '32768/32768', '100.0% (none left)'],
        'shop/crawler-0 30000, shop/web-1 2000, 10.244.0.9 700 +1 more',
      ],
      ['UDP', '[2001:db8:100::10]:53', 'fd00:10:10:30::101', '3/32768', '0.0%', 'shop/web-1 3'],
    ],
  );
});

test('nat top -o wide shows all clients with their addresses, json and yaml everything', async () => {
  const wide = await top('/nat-ports', '--limit', '0', '-o', 'wide');
  assert.match(wide.out, /node k8s-cp1 \(10\.10\.30\.101\) .* 10\.244\.0\.9 700, shop\/web-2 \(10\.244\.0\.7\) 68$/m);
  const json = await top('/nat-ports?limit=1', '--limit', '1', '-o', 'json');
  assert.deepEqual(JSON.parse(json.out), [full, little]);
  const yaml = await top('/nat-ports?limit=10', '-o', 'yaml');
  assert.match(yaml.out, /^- protocol: TCP\n {2}destination:\n {4}address: 198\.51\.100\.10$/m);
});

test('an answer that is none is told as such', async () => {
  using server = await agent({ '/nat-ports?limit=10': '[{"protocol":"TCP"}]' });
  const { err, exitCode } = await sluice(['nat', 'top', '--socket', server.socket]);
  assert.deepEqual([exitCode, /answer to \/nat-ports.* is not understood: .*destination/.test(err)], [1, true]);
});
