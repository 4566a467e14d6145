import assert from 'node:assert/strict';
import { release } from 'node:os';
import { test } from 'node:test';
import { isVersionAtLeast, kernelVersion } from '@sluice/bpf';
import { installationRoot, silentLogger } from '@sluice/runtime';
import { temporaryBpffs, temporaryCgroup } from '@sluice/testing';
import { configuration } from '../test/programs.ts';
import { openDatapath } from './index.ts';

test('a kernel that is too old is told so by name, a newer one is taken', (context) => {
  using bpffs = temporaryBpffs();
  using cgroup = temporaryCgroup();
  const open = () =>
    openDatapath({
      bpffs: bpffs.path,
      cgroupPath: cgroup.path,
      objectsDirectory: `${installationRoot()}/bpf/build`,
      configuration,
      log: silentLogger,
    });
  context.diagnostic(`Linux ${release()}`);
  if (isVersionAtLeast(kernelVersion(), '6.6')) open()[Symbol.dispose]();
  else
    assert.throws(open, {
      message: `the kernel is ${release()}, which is too old: Sluice needs Linux 6.6 (TCX links)`,
    });
});
