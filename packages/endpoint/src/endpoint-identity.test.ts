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

/** One pod, shop/cart, on a node whose view of labels, numbers and its own pod CIDRs is written by hand. */
function laboratory() {
  const directory = temporaryDirectory();
  const known = {
    labels: undefined as readonly string[] | undefined,
    numbers: new Map<string, number>(),
    podCidrs: ['10.0.0.0/24', 'fd00::/64'],
  };
  const addresses = () => {
    const given = new NodeAddresses({ ipv4: true, ipv6: true });
    given.setPrefixes(known.podCidrs.map((text) => parsePrefix(text)));
    return given;
  };
  const key = { containerId: 'c1', ifname: 'eth0' };
  const maps = fakeMaps();
  const devices = fakeDevices([]);
  const start = () =>
    startEndpoints({
      stateFolder: join(directory.path, 'endpoints'),
      addresses: addresses(),
      maps,
      programs: fakePrograms(),
      devices,
      nodeMac: parseMac('02:00:00:00:00:01'),
      mtu: () => ({ device: 1500, route: 1450 }),
      identities: {
        labelsOf: () => known.labels,
        identityOf: (labels) => known.numbers.get(labels.join()),
      },
      log: silentLogger,
    });
  const lab = {
    known,
    endpoints: start(),
    add() {
      const pod = { namespace: 'shop', name: 'cart', uid: undefined };
      const addition = lab.endpoints.add({
        ...{
          command: 'ADD',
          cniVersion: '1.1.0',
          previousResult: undefined,
          portMappings: [],
          ...key,
          netns: '/run/netns/c1',
          pod,
        },
      });
      devices.links.set(hostNameOf(key), vethLink(hostNameOf(key), 11));
      assert.ok('kind' in addition && addition.kind === 'new');
      addition.complete({ hostIfindex: 11, podIfindex: 2, netnsCookie: 7n, netnsInode: 8n });
    },
    async restart() {
      await lab.endpoints.stop();
      lab.endpoints = start();
    },
    row() {
      const [row] = lab.endpoints.table.list();
      return row && { labels: row.labels, identity: row.identity, pending: row.identityPendingSince !== undefined };
    },
    /** What the maps say, once everything is written. */
    async inKernel() {
      for (const each of lab.endpoints.reconcilers) await each.flush();
      const rows = [...maps.endpoints.entries()].map(([, row]) => row.identity);
      return [...rows, ...[...maps.netnsEndpoints.entries()].map(([, row]) => row.identity)];
    },
    async [Symbol.asyncDispose]() {
      await lab.endpoints.stop();
      directory[Symbol.dispose]();
    },
  };
  return lab;
}

test('a pod whose labels have a number has it with the answer to ADD', async () => {
  await using lab = laboratory();
  lab.known.labels = ['k8s:app=cart'];
  lab.known.numbers.set('k8s:app=cart', 4711);
  lab.add();
  assert.deepEqual(lab.row(), { labels: ['k8s:app=cart'], identity: 4711, pending: false });
  assert.deepEqual(await lab.inKernel(), [4711, 4711, 4711]);
});

test('ADD does not wait: a pod is init until its labels and their number are known, then the maps change over', async () => {
  await using lab = laboratory();
  lab.add();
  assert.deepEqual(lab.row(), { labels: undefined, identity: 5, pending: true });
  assert.deepEqual(await lab.inKernel(), [5, 5, 5]);
  lab.known.labels = ['k8s:app=cart'];
  lab.endpoints.labelsChanged('shop', 'cart');
  assert.deepEqual(lab.row(), { labels: ['k8s:app=cart'], identity: 5, pending: true });
  lab.known.numbers.set('k8s:app=cart', 4711);
  lab.endpoints.identitiesChanged();
  assert.deepEqual(lab.row(), { labels: ['k8s:app=cart'], identity: 4711, pending: false });
  assert.deepEqual(await lab.inKernel(), [4711, 4711, 4711]);
});

test('labels that change, of the pod or of its namespace, keep the number until the new one is known', async () => {
  await using lab = laboratory();
  lab.known.labels = ['k8s:app=cart'];
  lab.known.numbers.set('k8s:app=cart', 4711);
  lab.add();
  lab.known.labels = ['k8s:app=cart', 'k8s:team=b'];
  lab.endpoints.labelsChanged('other');
  assert.equal(lab.row()?.labels?.length, 1);
  lab.endpoints.labelsChanged('shop');
  assert.deepEqual(lab.row(), { labels: ['k8s:app=cart', 'k8s:team=b'], identity: 4711, pending: true });
  lab.known.numbers.set('k8s:app=cart,k8s:team=b', 4712);
  lab.endpoints.identitiesChanged();
  assert.deepEqual(await lab.inKernel(), [4712, 4712, 4712]);
});

test('a number that vanished stays in force until there is another one', async () => {
  await using lab = laboratory();
  lab.known.labels = ['k8s:app=cart'];
  lab.known.numbers.set('k8s:app=cart', 4711);
  lab.add();
  lab.known.numbers.clear();
  lab.endpoints.identitiesChanged();
  assert.equal(lab.row()?.identity, 4711);
  lab.known.numbers.set('k8s:app=cart', 4800);
  lab.endpoints.identitiesChanged();
  assert.equal(lab.row()?.identity, 4800);
});

test('after a restart without the API a pod has the labels and the number that it had', async () => {
  await using lab = laboratory();
  lab.known.labels = ['k8s:app=cart'];
  lab.known.numbers.set('k8s:app=cart', 4711);
  lab.add();
  lab.known.labels = undefined;
  lab.known.numbers.clear();
  await lab.restart();
  assert.deepEqual(lab.row(), { labels: ['k8s:app=cart'], identity: 4711, pending: false });
});

test('a pod with an address of a pod CIDR that the node had before is an error of its row, which says what to do', async () => {
  await using lab = laboratory();
  lab.add();
  const status = async () => {
    await lab.inKernel();
    return lab.endpoints.statusOf('c1/eth0');
  };
  assert.equal((await status())?.state, 'done');
  lab.known.podCidrs = ['10.0.7.0/24', 'fd00::/64'];
  await lab.restart();
  const { state, error } = (await status()) ?? {};
  assert.equal(state, 'error');
  assert.match(
    error ?? '',
    /^10\.0\.0\.2 is not of a pod CIDR that this node has now, and not reached: delete the pod/,
  );
});
