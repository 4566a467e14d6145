import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { recordingLogger, silentLogger } from '@sluice/runtime';
import { temporaryDirectory } from '@sluice/testing';
import { ensureDeviceSysctls, ensureForwarding, reserveNodePorts, Sysctls } from './sysctl.ts';

function proc(settings: Record<string, string>) {
  const directory = temporaryDirectory();
  for (const [name, value] of Object.entries(settings)) {
    const path = join(directory.path, 'sys', name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `${value}\n`);
  }
  const read = (name: string) => readFileSync(join(directory.path, 'sys', name), 'utf8').trim();
  return { path: directory.path, read, [Symbol.dispose]: () => directory[Symbol.dispose]() };
}

const host = {
  'net/ipv4/ip_forward': '0',
  'net/ipv6/conf/all/forwarding': '0',
  'net/ipv6/conf/eno1/accept_ra': '1',
  'net/ipv6/conf/eno2/accept_ra': '0',
  'net/ipv6/conf/default/accept_ra': '1',
};

test('forwarding is switched on and devices that listen to routers go on listening', () => {
  using fake = proc(host);
  ensureForwarding(new Sysctls(fake.path, silentLogger));
  assert.deepEqual(Object.keys(host).map(fake.read), ['1', '1', '2', '0', '2']);
});

test('node that forwards already keeps what its administrator said about router advertisements', () => {
  using fake = proc({ ...host, 'net/ipv6/conf/all/forwarding': '1' });
  ensureForwarding(new Sysctls(fake.path, silentLogger));
  assert.equal(fake.read('net/ipv6/conf/eno1/accept_ra'), '1');
});

test('the range of NodePorts is reserved where the kernel would give its ports away, beside what is reserved already', () => {
  const name = 'net/ipv4/ip_local_reserved_ports';
  const reservedWith = (localPorts: string, reserved: string) => {
    using fake = proc({ 'net/ipv4/ip_local_port_range': localPorts, [name]: reserved });
    reserveNodePorts(new Sysctls(fake.path, silentLogger), { first: 30_000, last: 32_767 }, silentLogger);
    return fake.read(name);
  };
  assert.equal(reservedWith('32768\t60999', ''), '');
  assert.equal(reservedWith('1024\t65535', ''), '30000-32767');
  assert.equal(reservedWith('1024\t65535', '8080'), '8080,30000-32767');
  assert.equal(reservedWith('1024\t65535', '8080,30000-32767'), '8080,30000-32767');
});

test('a range of NodePorts that would leave the node without ports of its own is not reserved, and the log says so', () => {
  const name = 'net/ipv4/ip_local_reserved_ports';
  using fake = proc({ 'net/ipv4/ip_local_port_range': '32768\t60999', [name]: '' });
  const log = recordingLogger();
  reserveNodePorts(new Sysctls(fake.path, log), { first: 1, last: 65_535 }, log);
  assert.equal(fake.read(name), '');
  assert.match(JSON.stringify(log.lines), /nodePort\.range is not reserved/);
  reserveNodePorts(new Sysctls(fake.path, log), { first: 1, last: 59_975 }, log);
  assert.equal(fake.read(name), '1-59975');
});

test('kernel without IPv6 is no error', () => {
  using fake = proc({ 'net/ipv4/ip_forward': '0' });
  ensureForwarding(new Sysctls(fake.path, silentLogger));
  ensureDeviceSysctls(new Sysctls(fake.path, silentLogger), 'sluice_host');
  assert.equal(fake.read('net/ipv4/ip_forward'), '1');
});

test('what is right already is not written, so a restart logs nothing', () => {
  using fake = proc(host);
  const log = recordingLogger();
  ensureForwarding(new Sysctls(fake.path, log));
  const writes = log.lines.length;
  ensureForwarding(new Sysctls(fake.path, log));
  assert.deepEqual([writes, log.lines.length], [4, 4]);
});

for (const [all, own] of [
  ['0', '0'],
  ['1', '2'],
  ['2', '2'],
] as const) {
  test(`reverse path filter of our device becomes ${own} where that of all is ${all}`, () => {
    using fake = proc({ 'net/ipv4/conf/all/rp_filter': all, 'net/ipv4/conf/sluice_host/rp_filter': '1' });
    ensureDeviceSysctls(new Sysctls(fake.path, silentLogger), 'sluice_host');
    assert.equal(fake.read('net/ipv4/conf/sluice_host/rp_filter'), own);
  });
}

test('setting that cannot be read is an error that names it', () => {
  using fake = proc({ 'net/ipv4/ip_forward/oops': '0' });
  assert.throws(
    () => ensureForwarding(new Sysctls(fake.path, silentLogger)),
    /^Error: read net\/ipv4\/ip_forward: EISDIR/,
  );
});
