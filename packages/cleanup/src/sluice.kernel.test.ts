import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { attachTcx, loadProgram, ProgramType } from '@sluice/bpf';
import { close, lock, openFd } from '@sluice/ffi';
import { openNetlink } from '@sluice/netlink';
import { temporaryBpffs, temporaryDirectory, temporaryNetworkNamespace } from '@sluice/testing';
import type { Removal } from './leftover.ts';
import { removeSluice, type SluiceOptions } from './sluice.ts';

const returnOk = Uint8Array.from([0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0]);

/** A node as an uninstalled agent leaves it: devices, a pinned link on one, files, folders. */
function node() {
  using stack = new DisposableStack();
  const namespace = stack.use(temporaryNetworkNamespace());
  const bpffs = stack.use(temporaryBpffs()).path;
  const { path: root } = stack.use(temporaryDirectory());
  const options = {
    bpffs,
    sys: join(root, 'sys'),
    runDir: join(root, 'run/sluice'),
    stateDir: join(root, 'var/lib/sluice'),
    cniConfig: join(root, 'net.d/05-sluice.conflist'),
    cniPlugin: join(root, 'bin/sluice-cni'),
    withPods: false,
    isDryRun: false,
  };
  for (const folder of ['run/sluice', 'var/lib/sluice/endpoints', 'net.d', 'bin', 'sys/kernel'])
    mkdirSync(join(root, folder), { recursive: true });
  for (const file of [
    'run/sluice/sluice.sock',
    'run/sluice/cni.sock.available',
    'var/lib/sluice/node.json',
    'var/lib/sluice/endpoints/a.json',
  ])
    writeFileSync(join(root, file), '');
  for (const file of ['net.d/05-sluice.conflist', 'net.d/10-flannel.conflist.sluice-aside', 'bin/sluice-cni'])
    writeFileSync(join(root, file), '');
  symlinkSync('sluice-cni', join(root, 'bin/loopback'));
  namespace.run(() => {
    using netlink = openNetlink();
    netlink.links.create({ kind: 'veth', name: 'sluice_host', peer: { name: 'sluice_net' } });
    netlink.links.create({ kind: 'vxlan', name: 'sluice_vxlan', port: 8472, external: true });
    netlink.links.create({ kind: 'veth', name: 'slc0123456789', peer: { name: 'eth7' } });
    netlink.links.create({ kind: 'veth', name: 'eno1', peer: { name: 'lan' } });
    using program = loadProgram({ name: 'fw', type: ProgramType.schedCls, instructions: returnOk, license: 'GPL' });
    using link = attachTcx({ program, ifindex: netlink.links.get('eno1')?.ifindex ?? 0, hook: 'ingress' });
    link.pin(join(bpffs, 'sluice/links/tcx_eno1'));
    program.pin(join(bpffs, 'sluice/programs/netdev/from'));
  });
  const owned = stack.move();
  return {
    root,
    options,
    clean: (changes: Partial<SluiceOptions> = {}) => namespace.run(() => removeSluice({ ...options, ...changes })),
    inside: namespace.run,
    devices: () =>
      namespace.run(() => {
        using netlink = openNetlink();
        return netlink.links.list().map(({ name }) => name);
      }),
    [Symbol.dispose]: () => owned.dispose(),
  };
}

const outcomes = (removals: readonly Removal[]) => new Set(removals.map(({ outcome }) => outcome));
const named = (removals: readonly Removal[], kind: Removal['kind']) =>
  removals.filter((each) => each.kind === kind).map(({ name, detail }) => `${name} ${detail}`.trim());

test('what an agent left goes, what is of others stays, and their CNI configuration is back', () => {
  using left = node();
  const removals = left.clean();
  assert.deepEqual(outcomes(removals), new Set(['removed', 'stays']));
  assert.deepEqual(named(removals, 'pins'), [`${join(left.options.bpffs, 'sluice')} 1 link, 1 program, 0 maps`]);
  assert.equal(existsSync(join(left.options.bpffs, 'sluice')), false);
  assert.deepEqual(left.devices().sort(), ['eno1', 'eth7', 'lan', 'lo', 'slc0123456789']);
  assert.deepEqual(readdirSync(join(left.root, 'net.d')), ['10-flannel.conflist']);
  assert.deepEqual(readdirSync(join(left.root, 'bin')), []);
  assert.deepEqual([existsSync(left.options.runDir), existsSync(left.options.stateDir)], [false, false]);
  assert.deepEqual(
    left.clean({ withPods: true }).map(({ name }) => name),
    ['slc0123456789'],
  );
  assert.deepEqual(left.devices().sort(), ['eno1', 'lan', 'lo']);
  assert.deepEqual(left.clean(), []);
});

test('a dry run names the same things and changes nothing', () => {
  using left = node();
  const foreseen = left.clean({ isDryRun: true });
  assert.deepEqual(outcomes(foreseen), new Set(['would be removed', 'stays']));
  const names = (removals: readonly Removal[]) => removals.map(({ kind, name, detail }) => ({ kind, name, detail }));
  assert.deepEqual(names(foreseen), names(left.clean()));
});

test('an agent that runs keeps its node, and one that starts meanwhile finds the folder taken', () => {
  using left = node();
  const agent = openFd(left.options.runDir);
  assert.ok(lock(agent));
  assert.throws(() => left.clean(), /an agent runs on this node \(it has .*run\/sluice\): uninstall it first/);
  assert.throws(() => left.clean({ isDryRun: true }), /an agent runs/);
  close(agent);
  assert.ok(existsSync(join(left.options.bpffs, 'sluice')));
  assert.deepEqual(outcomes(left.clean()), new Set(['removed', 'stays']));
});

test('what somebody else put in our folders, and a device that only bears our name, stay', () => {
  using left = node();
  left.inside(() => {
    using netlink = openNetlink();
    netlink.links.delete(netlink.links.get('sluice_vxlan')?.ifindex ?? 0);
    netlink.links.create({ kind: 'veth', name: 'sluice_vxlan', peer: { name: 'mine' } });
  });
  writeFileSync(join(left.options.stateDir, 'notes.txt'), 'mine');
  const stay = left.clean().filter(({ outcome }) => outcome === 'stays');
  assert.ok(
    stay.some(({ name, detail }) => name === 'sluice_vxlan' && detail === 'is not ours: veth instead of vxlan'),
  );
  assert.ok(left.devices().includes('sluice_vxlan'));
  assert.equal(readFileSync(join(left.options.stateDir, 'notes.txt'), 'utf8'), 'mine');
  assert.deepEqual(named(left.clean(), 'state'), [`${left.options.stateDir} but for notes.txt, which is not ours`]);
});

test('a kernel that a killed agent left hurrying is set back', () => {
  using left = node();
  const setting = join(left.options.sys, 'kernel/rcu_expedited');
  writeFileSync(setting, '1');
  writeFileSync(join(left.options.runDir, 'expedited'), '');
  left.clean();
  assert.equal(readFileSync(setting, 'utf8'), '0');
});

test('one thing that cannot be removed is told and holds up nothing', () => {
  using left = node();
  rmSync(left.options.cniConfig);
  mkdirSync(left.options.cniConfig);
  const removals = left.clean();
  const failed = removals.filter(({ outcome }) => outcome === 'failed');
  assert.deepEqual(
    failed.map(({ name }) => name),
    [left.options.cniConfig],
  );
  assert.match(failed[0]?.error ?? '', /directory/i);
  assert.equal(existsSync(join(left.options.bpffs, 'sluice')), false);
});
