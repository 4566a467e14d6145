import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '@sluice/net';
import { silentLogger, systemClock } from '@sluice/runtime';
import { temporaryNetworkNamespace } from '@sluice/testing';
import { startProber } from './probe.ts';

const local = [parseAddress('127.0.0.1'), parseAddress('::1')];
const silent = parseAddress('192.0.2.1');

test('an address that answers is reachable, one that does not is unreachable after two rounds', async () => {
  using netns = temporaryNetworkNamespace();
  using prober = netns.run(() => startProber({ clock: systemClock, log: silentLogger }));
  assert.equal(prober.reachability(silent).state, 'unknown');
  prober.probe([...local, silent]);
  while (local.some((address) => prober.reachability(address).state !== 'reachable')) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  prober.probe([...local, silent]);
  prober.probe([...local, silent]);
  assert.equal(prober.reachability(silent).state, 'unreachable');
});
