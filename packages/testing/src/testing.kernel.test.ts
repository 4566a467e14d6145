import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, readlinkSync, statfsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { close, openFd } from '@sluice/ffi';
import { temporaryBpffs, temporaryCgroup, temporaryNetworkNamespace } from './index.ts';
import { leakCheck } from './leak-check.ts';

const BPF_FS_MAGIC = 0xcafe4a11;

test('bpffs is mounted while it is used and leaves nothing behind', () => {
  let path: string;
  {
    using bpffs = temporaryBpffs();
    path = bpffs.path;
    assert.equal(statfsSync(path).type, BPF_FS_MAGIC);
    mkdirSync(join(path, 'maps'));
  }
  assert.ok(!existsSync(path));
});

test('network namespace is another one, with loopback up, and leaves nothing behind', () => {
  let path: string;
  {
    using namespace = temporaryNetworkNamespace();
    path = namespace.path;
    const outside = readlinkSync('/proc/thread-self/ns/net');
    assert.notEqual(
      namespace.run(() => readlinkSync('/proc/thread-self/ns/net')),
      outside,
    );
    // An IPv6 address appears on loopback only when it is up.
    const addresses = namespace.run(() => readFileSync('/proc/thread-self/net/if_inet6', 'utf8'));
    assert.match(addresses, /^0{31}1 .* lo$/m);
  }
  assert.ok(!existsSync(path));
});

test('cgroup takes a process, gives the own one back, and kills what is left', async () => {
  const child = spawn('sleep', ['1000']);
  await once(child, 'spawn');
  const exit = once(child, 'exit');
  let path: string;
  {
    using cgroup = temporaryCgroup();
    path = cgroup.path;
    cgroup.add(child.pid ?? 0);
    const inside = cgroup.run(() => readFileSync('/proc/self/cgroup', 'utf8'));
    assert.match(inside, new RegExp(`^0::.*/${basename(path)}$`, 'm'));
    assert.doesNotMatch(readFileSync('/proc/self/cgroup', 'utf8'), /sluice-test/);
  }
  const [, signal]: unknown[] = await exit;
  assert.equal(signal, 'SIGKILL');
  assert.ok(!existsSync(path));
});

test('leaked descriptor is named', () => {
  const check = leakCheck();
  const fd = openFd('/proc/version');
  assert.throws(() => check[Symbol.dispose](), /leaked: fd \d+ -> \/proc\/version/);
  close(fd);
  check[Symbol.dispose]();
});
