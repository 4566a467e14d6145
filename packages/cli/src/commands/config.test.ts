import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agent, sluice } from '../test-agent.ts';

const sentence = 'How packets for pods reach another node.';
const report = {
  file: '/etc/values.yaml',
  options: [
    { name: 'routingMode', value: 'tunnel', standard: 'tunnel', source: 'default', sentence },
    {
      name: 'devices',
      value: 'eno1',
      standard: '',
      source: '/etc/values.yaml:4',
      sentence: 'Devices.',
      warning: 'devices: x',
    },
    { name: 'ipam.mode', value: 'kubernetes', standard: 'cluster-pool', source: 'default', sentence: 'Who gives.' },
    { name: '--bpffs', value: '/sys/fs/bpf', source: 'command line', sentence: 'Option.' },
  ],
  lacked: { encryption: 'packets are NOT encrypted', ipam: 'no cloud is asked' },
  warnings: ['devices: x'],
};

async function config(...args: readonly string[]) {
  using server = await agent({ '/config': report });
  return await sluice(['config', ...args, '--socket', server.socket]);
}

test('every option is shown with where it was set, and what does something else is told', async () => {
  const { out, err } = await config();
  assert.deepEqual(
    out.split('\n').map((line) => line.replaceAll(/ {3,}/g, ' | ')),
    [
      'OPTION | VALUE | SET BY',
      'routingMode | tunnel | default',
      'devices | eno1 | /etc/values.yaml:4',
      'ipam.mode | kubernetes | default',
      '--bpffs | /sys/fs/bpf | command line',
      '',
    ],
  );
  assert.equal(err, 'devices: x\n');
  assert.doesNotMatch((await config('--set')).out, /routingMode/);
  assert.match((await config('--lacked')).out, /^encryption +packets are NOT encrypted$/m);
  assert.deepEqual(JSON.parse((await config('-o', 'json')).out), report.options);
});

test('one option says what it does, its default, and where it was set', async () => {
  const { out } = await config('get', 'devices');
  assert.match(out, /^Value: +eno1$/m);
  assert.match(out, /^Default: +\(empty\)$/m);
  assert.match(out, /^Set by: +\/etc\/values\.yaml:4$/m);
  assert.match(out, /^But: +devices: x$/m);
});

test('an option that Sluice lacks says what happens instead, one that is none gets the nearest', async () => {
  const lacking = await config('get', 'encryption.enabled');
  assert.equal(lacking.exitCode, 1);
  assert.equal(lacking.err, 'sluice: Sluice lacks encryption: packets are NOT encrypted\n');
  const wrong = await config('get', 'routingmod');
  assert.equal(wrong.exitCode, 2);
  assert.equal(wrong.err, 'sluice: no option routingmod; did you mean routingMode?\n');
});

test('a name with options below it shows those, and says what of it Sluice lacks', async () => {
  const { out, err, exitCode } = await config('get', 'ipam');
  assert.deepEqual([exitCode, err], [0, 'Sluice lacks the rest of ipam: no cloud is asked\n']);
  assert.match(out, /^ipam\.mode +kubernetes +default$/m);
});
