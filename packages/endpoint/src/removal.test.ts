import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { NodeAddresses } from '@sluice/ipam';
import { parseMac, parsePrefix } from '@sluice/net';
import { silentLogger } from '@sluice/runtime';
import { temporaryDirectory } from '@sluice/testing';
import { fakeDevices, fakeMaps, fakePrograms, vethLink } from '../test/fakes.ts';
import { hostNameOf } from './endpoint.ts';
import { startEndpoints } from './endpoints.ts';

test('a device that a DEL is removing keeps its link until it is gone: to detach would wait for it', async () => {
  using directory = temporaryDirectory();
  const addresses = new NodeAddresses({ ipv4: true, ipv6: false });
  addresses.setPrefixes([parsePrefix('10.0.0.0/24')]);
  const [programs, devices] = [fakePrograms(), fakeDevices([])];
  const endpoints = startEndpoints({
    stateFolder: join(directory.path, 'endpoints'),
    addresses,
    maps: fakeMaps(),
    programs,
    devices,
    nodeMac: parseMac('02:00:00:00:00:01'),
    mtu: () => ({ device: 1500, route: 1450 }),
    identities: { labelsOf: () => undefined, identityOf: () => undefined },
    log: silentLogger,
  });
  const key = { containerId: 'c1', ifname: 'eth0', netns: '/run/netns/c1' };
  const common = { cniVersion: '1.1.0', previousResult: undefined, portMappings: [], ...key } as const;
  const name = hostNameOf(key);
  const written = async () => {
    for (const each of endpoints.reconcilers) await each.flush();
    return [...programs.attached.keys()];
  };
  const pod = { namespace: 'shop', name: 'cart', uid: undefined };
  const addition = endpoints.add({ command: 'ADD', ...common, pod });
  devices.links.set(name, vethLink(name, 11));
  assert.ok('kind' in addition && addition.kind === 'new');
  addition.complete({ hostIfindex: 11, podIfindex: 2, netnsCookie: 7n, netnsInode: 8n });
  assert.deepEqual(await written(), [name]);
  const removal = endpoints.remove({ command: 'DEL', ...common, pod });
  assert.deepEqual(await written(), [name]);
  removal.complete();
  assert.deepEqual(await written(), []);
  await endpoints.stop();
});
