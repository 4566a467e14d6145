import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const script = join(import.meta.dirname, 'setup.sh');

/** Runs the set-up where these programs answer so; nothing of this machine is changed by a refusal. */
function setup(programs: Record<string, string>, ...args: string[]) {
  const folder = mkdtempSync(join(tmpdir(), `sluice-test-${process.pid}-`));
  try {
    for (const [name, body] of Object.entries(programs)) {
      writeFileSync(join(folder, name), `#!/bin/sh\n${body}\n`);
      chmodSync(join(folder, name), 0o755);
    }
    const { status, stdout, stderr } = spawnSync('sh', [script, ...args], {
      encoding: 'utf8',
      env: { ...process.env, PATH: `${folder}:${process.env.PATH}` },
    });
    return { status, stdout, stderr };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const uname = (system: string, release: string) => `case "$1" in -r) echo ${release} ;; *) echo ${system} ;; esac`;

test('an unsuitable machine is told everything at once, and what to do about each', () => {
  const { status, stderr } = setup({ uname: uname('Linux', '6.1.0-13-amd64'), id: 'echo 1000', node: 'echo v18.19.0' });
  assert.equal(status, 1);
  assert.match(stderr, /you are not root\n +run it as root/);
  assert.match(stderr, /the kernel is 6\.1\.0-13-amd64, needed is >= 6\.6 .*\n +boot a newer one/);
  assert.match(stderr, /Node\.js is 18\.19\.0, needed is >= 20\n +install a newer one/);
});

test('kernels are compared by number, not by text', () => {
  const problemOf = (release: string) => setup({ uname: uname('Linux', release), id: 'echo 1000' }).stderr;
  for (const old of ['5.15.0', '6.5.13-generic', '4.19']) assert.match(problemOf(old), /the kernel is/, old);
  for (const good of ['6.6.0', '6.10.3-rc1', '10.0', '6.18.44-x'])
    assert.doesNotMatch(problemOf(good), /the kernel is/, good);
});

test('another system than Linux is told so first', () => {
  const { status, stderr } = setup({ uname: uname('Darwin', '25.0.0') });
  assert.equal(status, 1);
  assert.match(stderr, /this is Darwin; eBPF is a part of Linux/);
});

test('missing Debian packages are named with the command that installs them', () => {
  const { status, stderr } = setup({ 'dpkg-query': 'echo "ii  clang-19"', id: 'echo 1000' }, '--packages');
  assert.equal(status, 1);
  assert.match(stderr, /as root: apt-get install libbpf-dev linux-libc-dev libc6-dev libatomic1 clang-format-19/);
});

test('what boots other kernels is named only where that is asked for', () => {
  const machine = { 'dpkg-query': 'echo "ii  clang-19"', id: 'echo 1000', uname: uname('Linux', '6.18.0') };
  assert.match(setup(machine, '--kernels').stderr, /qemu-system-x86 busybox-static/);
  assert.doesNotMatch(setup(machine, '--tests').stderr, /qemu/);
});

test('an unknown option is refused', () => {
  const { status, stderr } = setup({}, '--pakages');
  assert.equal(status, 2);
  assert.match(stderr, /unknown option --pakages/);
});
