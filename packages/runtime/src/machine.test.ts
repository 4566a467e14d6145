import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { formatMachineReport, type MachineReportOptions, machineReport, parseMountinfo } from './index.ts';

const hybrid = `24 30 0:22 / /sys rw,nosuid - sysfs sysfs rw
35 24 0:30 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755
36 35 0:31 / /sys/fs/cgroup/unified rw shared:9 master:1 - cgroup2 cgroup rw
40 24 0:40 /sub /mnt/a\\040b rw - bpf bpf rw,mode=700
41 24 0:40 / /sys/fs/bpf rw - bpf bpf rw,mode=700
`;

const good: MachineReportOptions = {
  userId: 0,
  kernelRelease: '6.8.0-45-generic',
  mounts: parseMountinfo(hybrid),
  nodeVersion: '26.10.0',
  searchPath: '',
};

function withSys<T>(run: (sysPath: string) => T): T {
  const sysPath = mkdtempSync(join(tmpdir(), 'sluice-sys-'));
  mkdirSync(join(sysPath, 'kernel/btf'), { recursive: true });
  writeFileSync(join(sysPath, 'kernel/btf/vmlinux'), '');
  try {
    return run(sysPath);
  } finally {
    rmSync(sysPath, { recursive: true });
  }
}

function missing(options: MachineReportOptions): string[] {
  const { checks } = withSys((sysPath) => machineReport({ ...good, sysPath, ...options }));
  return checks.filter((check) => check.required && !check.ok).map((check) => check.name);
}

test('a good machine is suitable, with the mounts where they are', () => {
  const report = withSys((sysPath) => machineReport({ ...good, sysPath }));
  assert.deepEqual(
    report.checks.filter((check) => check.required && !check.ok),
    [],
  );
  assert.ok(report.suitable);
  assert.deepEqual([report.cgroupPath, report.bpffsPath], ['/sys/fs/cgroup/unified', '/sys/fs/bpf']);
});

test('each thing that is missing is named', () => {
  assert.deepEqual(missing({ userId: 1000 }), ['root']);
  assert.deepEqual(missing({ mounts: [] }), ['cgroup v2']);
  assert.deepEqual(missing({ sysPath: '/nonexistent' }), ['kernel BTF']);
  assert.deepEqual(missing({ nodeVersion: '18.19.0' }), ['Node.js >= 20']);
});

test('the floor of the kernel is 6.6', () => {
  for (const old of ['6.5.13', '6.1.0-25-amd64', '5.15.0', 'unknown', '']) {
    assert.deepEqual(missing({ kernelRelease: old }), ['kernel >= 6.6'], old);
  }
  for (const recent of ['6.6.0', '6.12.1+deb13-amd64', '7.0.0-rc1', '10.1']) {
    assert.deepEqual(missing({ kernelRelease: recent }), [], recent);
  }
});

test('the report says what to do about what is missing', () => {
  const report = withSys((sysPath) => machineReport({ ...good, sysPath, userId: 1000, mounts: [] }));
  assert.equal(report.suitable, false);
  const text = formatMachineReport(report);
  assert.match(text, /MISSING +root +running as user 1000\n +-> run it as root/);
  assert.match(text, /MISSING +cgroup v2 +not mounted\n +-> mount -t cgroup2/);
  assert.match(text, /no +clang-19 +not in PATH\n +-> apt-get install clang-19/);
});

test('mountinfo: escapes are undone, damaged lines are left out', () => {
  const mounts = parseMountinfo(`${hybrid}garbage\n1 2 3 - x\n`);
  assert.equal(mounts.length, 5);
  assert.deepEqual(mounts[3], { root: '/sub', path: '/mnt/a b', type: 'bpf' });
});
