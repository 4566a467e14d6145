import assert from 'node:assert/strict';
import { test } from 'node:test';
import { features as probed } from '@sluice/bpf';
import { machine } from '../../test/facts.ts';
import type { MachineFacts } from '../facts/machine-facts.ts';
import { diagnose } from '../finding.ts';
import { kernelChecks, neededFeatures } from './kernel.ts';

/** `check severity what` of each finding. */
function found(facts: Partial<MachineFacts>): string[] {
  const { findings } = diagnose(kernelChecks, { ...machine, ...facts });
  return findings.map(({ check, severity, what }) => `${check} ${severity} ${what}`);
}

const setting = (name: string, value: string) => ({ settings: { ...machine.settings, [name]: value } });

test('a good kernel has nothing to be told', () => {
  assert.deepEqual(found({}), []);
});

test('an old kernel is refused by number, unless it has what the new ones brought', () => {
  const without = [{ name: 'TCX link', since: '6.6', supported: false, why: 'EINVAL' }];
  for (const release of ['5.15.0', '6.5.13-generic', '4.19']) {
    assert.match(
      found({ release, features: without }).join('\n'),
      /^kernel-version error the kernel is .* needed is >= 6\.6$/m,
    );
  }
  assert.deepEqual(found({ release: '5.14.0-611.el9' }), []);
  for (const release of ['6.6.0', '6.10.3-rc1', '10.0']) assert.deepEqual(found({ release }), []);
});

test('each missing feature is named with the version that brought it and what goes without', () => {
  const features = [
    { name: 'bpf_redirect_peer', since: '5.10', supported: false, why: 'EINVAL' },
    { name: 'packet drop reasons', since: '5.17', supported: false },
    { name: 'bpf_sock_destroy', since: '6.5', supported: false },
  ];
  const { findings } = diagnose(kernelChecks, { ...machine, features });
  assert.deepEqual(
    findings.map(({ severity, what }) => `${severity} ${what}`),
    [
      'error the kernel does not support bpf_redirect_peer (EINVAL)',
      'warning the kernel does not support packet drop reasons',
    ],
  );
  assert.match(findings[0]?.remedy ?? '', /at least 5\.10/);
});

test('what is needed is probed: no name is misspelt', () => {
  const names = new Set(probed.map(({ name }) => name));
  assert.deepEqual(
    neededFeatures().filter((name) => !names.has(name)),
    [],
  );
});

test('without root the kernel cannot be asked, which is said', () => {
  assert.match(found({ isRoot: false, features: undefined }).join('\n'), /root error this is not root/);
});

test('settings that slow programs down or open them to everybody are told', () => {
  assert.match(found(setting('net/core/bpf_jit_enable', '0')).join(), /bpf-jit error .*not compiled/);
  assert.match(found(setting('net/core/bpf_jit_enable', '2')).join(), /bpf-jit warning/);
  assert.match(found(setting('net/core/bpf_jit_harden', '2')).join(), /bpf-jit note/);
  assert.match(found(setting('kernel/unprivileged_bpf_disabled', '0')).join(), /unprivileged-bpf warning every user/);
});

test('missing modules, a lockdown and SELinux are told', () => {
  assert.match(
    found({ modules: { vxlan: false, veth: true } }).join(),
    /kernel-modules error the kernel has no module vxlan/,
  );
  assert.deepEqual(found({ modules: undefined }), []);
  assert.match(found({ lockdown: 'confidentiality' }).join(), /kernel-lockdown warning/);
  assert.deepEqual(found({ lockdown: 'integrity' }), []);
  assert.match(found({ selinuxEnforcing: true }).join(), /security-module note SELinux enforces/);
});
