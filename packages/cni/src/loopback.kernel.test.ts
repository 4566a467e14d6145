// The executable under the name of the plugin `loopback`. Needs root; no agent runs.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { installationRoot } from '@sluice/runtime';
import { temporaryNetworkNamespace } from '@sluice/testing';

const executable = join(installationRoot(), 'dist/bin/sluice-cni');
const options = { skip: !existsSync(executable) && `${executable} is not built: npm run build makes it` };

function loopback(command: string, netns: string, version = '1.0.0') {
  const { status, stdout } = spawnSync(executable, {
    argv0: '/opt/cni/bin/loopback',
    input: JSON.stringify({ cniVersion: version, name: 'cni-loopback', type: 'loopback' }),
    env: {
      CNI_COMMAND: command,
      CNI_CONTAINERID: 'c0ffee',
      CNI_IFNAME: 'lo',
      CNI_NETNS: netns,
      CNI_PATH: '/opt/cni/bin',
    },
    encoding: 'utf8',
  });
  return { status, body: stdout === '' ? {} : (JSON.parse(stdout) as Record<string, unknown>) };
}

test('ADD brings lo up and tells its addresses, CHECK sees it, DEL succeeds', options, () => {
  using netns = temporaryNetworkNamespace();
  const inside = (...command: string[]) =>
    spawnSync('nsenter', [`--net=${netns.path}`, ...command], { encoding: 'utf8' }).stdout;
  inside('ip', 'link', 'set', 'lo', 'down');
  const down = loopback('CHECK', netns.path);
  assert.deepEqual([down.status, down.body.code], [1, 101]);
  const added = loopback('ADD', netns.path);
  assert.equal(added.status, 0, JSON.stringify(added.body));
  assert.deepEqual(added.body, {
    cniVersion: '1.0.0',
    interfaces: [{ name: 'lo', mac: '00:00:00:00:00:00', sandbox: netns.path }],
    ips: [
      { address: '127.0.0.1/8', interface: 0 },
      { address: '::1/128', interface: 0 },
    ],
  });
  assert.match(inside('ip', '-o', 'address', 'show', 'lo'), /127\.0\.0\.1\/8[\s\S]*::1\/128/);
  assert.equal(loopback('CHECK', netns.path).status, 0);
  assert.deepEqual(loopback('DEL', netns.path), { status: 0, body: {} });
});

test('addresses name their family in the older versions that containerd asks by', options, () => {
  using netns = temporaryNetworkNamespace();
  const { body } = loopback('ADD', netns.path, '0.3.1');
  assert.deepEqual(body.ips, [
    { version: '4', address: '127.0.0.1/8', interface: 0 },
    { version: '6', address: '::1/128', interface: 0 },
  ]);
});

test("DEL succeeds when the namespace is gone, and the node's own is refused", options, () => {
  assert.equal(loopback('DEL', '/run/netns/gone').status, 0);
  assert.equal(loopback('ADD', '/run/netns/gone').body.code, 3);
  assert.equal(loopback('ADD', '/proc/self/ns/net').body.code, 4);
});
