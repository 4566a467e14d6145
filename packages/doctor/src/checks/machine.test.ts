import assert from 'node:assert/strict';
import { test } from 'node:test';
import { machine } from '../../test/facts.ts';
import { type MachineFacts, parseOpenFiles } from '../facts/machine-facts.ts';
import { diagnose } from '../finding.ts';
import { bpffsCheck } from './bpffs.ts';
import { cgroupPathOf, machineChecks } from './machine.ts';

function found(facts: Partial<MachineFacts>): string[] {
  const { findings } = diagnose([...machineChecks, bpffsCheck], { ...machine, ...facts });
  return findings.map(({ check, severity, what }) => `${check} ${severity} ${what}`);
}

test('a good machine has nothing to be told', () => {
  assert.deepEqual(found({}), []);
});

test('filesystems that are missing are told; cgroup v1 beside version 2 is worth knowing', () => {
  assert.deepEqual(found({ mounts: [] }), [
    'cgroup-v2 error cgroup v2 is not mounted',
    'bpffs warning no BPF filesystem is mounted',
  ]);
  const mounts = [
    { root: '/', path: '/sys/fs/cgroup/memory', type: 'cgroup' },
    { root: '/', path: '/sys/fs/cgroup/unified', type: 'cgroup2' },
    { root: '/', path: '/sys/fs/bpf', type: 'bpf' },
  ];
  assert.deepEqual(found({ mounts }), [
    'cgroup-v2 note cgroup v1 is mounted as well, version 2 is at /sys/fs/cgroup/unified',
  ]);
});

test('the whole cgroup tree is preferred to a part of it', () => {
  const mounts = [
    { root: '/pod', path: '/part', type: 'cgroup2' },
    { root: '/', path: '/whole', type: 'cgroup2' },
  ];
  assert.equal(cgroupPathOf({ mounts }), '/whole');
  assert.equal(cgroupPathOf({ mounts: [] }), undefined);
});

test('limits are told before they are reached', () => {
  assert.match(found({ openFilesMax: 256 }).join(), /open-files warning a process may have 256 open files/);
  assert.match(found({ files: { used: 81, max: 100 } }).join(), /open-files warning 81 of 100 open files are in use/);
  assert.match(found({ tasks: { used: 90, max: 100 } }).join(), /tasks warning 90 of 100 processes and threads/);
  const settings = { ...machine.settings, 'kernel/pid_max': '600' };
  const { findings } = diagnose(machineChecks, { ...machine, settings });
  assert.match(findings[0]?.remedy ?? '', /sysctl -w kernel\.pid_max=1200/);
});

test('a limit of open files is read from /proc/self/limits, unlimited as well', () => {
  assert.equal(
    parseOpenFiles(
      'Max processes   1   2  processes\nMax open files            1024                 524288               files\n',
    ),
    1024,
  );
  assert.equal(
    parseOpenFiles('Max open files            unlimited            unlimited            files\n'),
    Number.POSITIVE_INFINITY,
  );
});

test('a clock that nobody keeps is told, and one that is years behind is an error', () => {
  assert.match(
    found({ clock: { isSynchronised: false, errorMaxMs: 16_000 } }).join(),
    /clock warning the clock is not synchronised/,
  );
  assert.match(found({ now: 0 }).join(), /clock error the clock says 1970-01-01/);
});
