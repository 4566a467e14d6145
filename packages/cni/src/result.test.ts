import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CniResult, formatResult } from './result.ts';

const result: CniResult = {
  interfaces: [
    { name: 'slc1', mac: '02:00:00:00:00:01', mtu: 1500 },
    { name: 'eth0', mac: '02:00:00:00:00:02', mtu: 1500, sandbox: '/run/netns/x' },
  ],
  ips: [{ address: '10.0.0.2/32', gateway: '10.0.0.1', interface: 1 }],
  routes: [{ dst: '0.0.0.0/0', gw: '10.0.0.1' }],
};

test('the answer of a plugin before us is kept, and our addresses point at our interfaces behind its', () => {
  const previous = {
    cniVersion: '1.0.0',
    interfaces: [{ name: 'lo' }],
    ips: [{ address: '127.0.0.1/8', interface: 0 }],
    dns: { nameservers: ['10.96.0.10'] },
  };
  const answer = JSON.parse(formatResult(result, '1.0.0', previous));
  assert.deepEqual(
    answer.interfaces.map((device: { name: string }) => device.name),
    ['lo', 'slc1', 'eth0'],
  );
  assert.deepEqual(answer.ips[1], { address: '10.0.0.2/32', gateway: '10.0.0.1', interface: 2 });
  assert.deepEqual(answer.dns, { nameservers: ['10.96.0.10'] });
});

test('addresses carry their family until 1.0.0, interfaces their MTU from 1.1.0', () => {
  const old = JSON.parse(formatResult(result, '0.4.0', undefined));
  assert.equal(old.ips[0].version, '4');
  assert.equal(old.interfaces[0].mtu, undefined);
  const newest = JSON.parse(formatResult(result, '1.1.0', undefined));
  assert.equal(newest.ips[0].version, undefined);
  assert.equal(newest.interfaces[0].mtu, 1500);
});
