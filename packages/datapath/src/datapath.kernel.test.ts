import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress, parseMac } from '@sluice/net';
import { installationRoot, silentLogger } from '@sluice/runtime';
import { temporaryBpffs, temporaryCgroup } from '@sluice/testing';
import { openDatapath } from './datapath.ts';

test('opens', () => {
  using bpffs = temporaryBpffs();
  using cgroup = temporaryCgroup();
  using datapath = openDatapath({
    bpffs: bpffs.path,
    cgroupPath: cgroup.path,
    objectsDirectory: `${installationRoot()}/bpf/build`,
    configuration: {
      dryRun: 0,
      gatewayIpv4: parseAddress('10.244.0.1'),
      gatewayIpv6: parseAddress('fd00:10:244::1'),
      hostIfindex: 1,
      hostMac: parseMac('02:00:00:00:00:01'),
      ipv4Enabled: 1,
      ipv6Enabled: 1,
      nodeIdentity: 6,
      overlayIfindex: 1,
    },
    log: silentLogger,
  });
  datapath.attachSock();
  console.table(datapath.programUsage());
  console.table(datapath.mapUsage());
  console.table(datapath.links());
  assert.ok(true);
});
