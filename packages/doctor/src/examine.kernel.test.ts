import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { attachTcx, loadProgram, ProgramType } from '@sluice/bpf';
import { AddressFamily, bind, close, internetAddress, listen, SocketType, socket } from '@sluice/ffi';
import { parseAddress, parsePrefix } from '@sluice/net';
import { openNetlink } from '@sluice/netlink';
import { type TemporaryNetworkNamespace, temporaryDirectory, temporaryNetworkNamespace } from '@sluice/testing';
import { examineMachine, examineNode } from './examine.ts';
import { type NodeSettings, nodeSettingsDefault } from './node-settings.ts';

const withoutNft = spawnSync('nft', ['--version']).error ? 'nft is not installed' : false;

interface TestNode extends Disposable {
  readonly namespace: TemporaryNetworkNamespace;
  readonly cniDirectory: string;
  /** `check severity what` of each finding of the node's network: the machine's own are nobody's fault here. */
  found(): string[];
}

const ofNetwork =
  /^(network-devices|mtu|rp-filter|forwarding|ipv6|tunnel-port|agent-ports|leftover-devices|foreign-rules|ipvs|foreign-programs|foreign-filters|cni-configuration) /;

/** A namespace with a device that has a default route, and a good setting of everything. */
function node(chosen: Partial<NodeSettings> = {}): TestNode {
  using stack = new DisposableStack();
  const namespace = stack.use(temporaryNetworkNamespace());
  const directory = stack.use(temporaryDirectory());
  const cniDirectory = join(directory.path, 'net.d');
  mkdirSync(cniDirectory);
  namespace.run(() => {
    using netlink = openNetlink();
    const { ifindex } = netlink.links.create({ kind: 'veth', name: 'eno1', peer: { name: 'lan' } });
    for (const name of ['eno1', 'lan']) netlink.links.set({ ifindex: netlink.links.get(name)?.ifindex ?? 0, up: true });
    netlink.addresses.add({ ifindex, address: parseAddress('10.10.30.1'), length: 24 });
    netlink.routes.replace({ destination: parsePrefix('0.0.0.0/0'), ifindex, gateway: parseAddress('10.10.30.254') });
    setting('ipv4/ip_forward', 1);
    setting('ipv6/conf/all/forwarding', 1);
    for (const device of ['all', 'eno1']) setting(`ipv4/conf/${device}/rp_filter`, 0);
  });
  const settings = { ...nodeSettingsDefault, cniDirectory, ...chosen };
  const owned = stack.move();
  return {
    namespace,
    cniDirectory,
    found: () =>
      namespace
        .run(() => examineNode({ settings }))
        .findings.map(({ check, severity, what }) => `${check} ${severity} ${what}`)
        .filter((line) => ofNetwork.test(line)),
    [Symbol.dispose]: () => owned.dispose(),
  };
}

function setting(name: string, value: number): void {
  writeFileSync(`/proc/sys/net/${name}`, String(value));
}

test('a node with a device, forwarding and nothing of others has nothing to be told', () => {
  using examined = node();
  assert.deepEqual(examined.found(), []);
});

test('a strict rp_filter, forwarding that is off and a small MTU are seen in the kernel', () => {
  using examined = node();
  examined.namespace.run(() => {
    using netlink = openNetlink();
    netlink.links.set({ ifindex: netlink.links.get('eno1')?.ifindex ?? 0, mtu: 1300 });
    setting('ipv4/conf/all/rp_filter', 1);
    setting('ipv4/ip_forward', 0);
  });
  assert.deepEqual(examined.found(), [
    'mtu error the MTU of eno1 is 1300, needed is at least 1330',
    'rp-filter note rp_filter is strict on eno1 (net.ipv4.conf.all.rp_filter is 1)',
    'forwarding note the node does not forward (net.ipv4.ip_forward is 0)',
  ]);
});

test('a rule of nftables is seen, with its owner', { skip: withoutNft }, () => {
  using examined = node();
  const script = 'add table ip kube-proxy; add chain ip kube-proxy services; add rule ip kube-proxy services accept';
  spawnSync('nsenter', [`--net=${examined.namespace.path}`, 'nft', script]);
  assert.deepEqual(examined.found(), ['foreign-rules warning 1 nftables rule of kube-proxy']);
});

test("a program of somebody else at the network's device is seen", () => {
  using examined = node();
  const instructions = Uint8Array.from([0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0]);
  using program = loadProgram({ name: 'fw', type: ProgramType.schedCls, instructions, license: 'GPL' });
  using _link = examined.namespace.run(() => {
    using netlink = openNetlink();
    return attachTcx({ program, ifindex: netlink.links.get('eno1')?.ifindex ?? 0, hook: 'ingress' });
  });
  assert.match(
    examined.found().join('\n'),
    /^foreign-programs warning BPF program fw \(id \d+\) of somebody else is at ingress of eno1$/,
  );
});

test("filters of tc at the network's device are seen, which come behind our programs", () => {
  using examined = node();
  const tc = (...words: string[]) => {
    const { status, stderr } = examined.namespace.run(() => spawnSync('tc', words, { encoding: 'utf8' }));
    assert.equal(status, 0, stderr);
  };
  tc('qdisc', 'add', 'dev', 'eno1', 'clsact');
  assert.deepEqual(examined.found(), []);
  for (const prio of ['3', '4'])
    tc(...['filter', 'add', 'dev', 'eno1', 'ingress', 'prio', prio, 'protocol', 'ip'], ...everything);
  tc('filter', 'add', 'dev', 'eno1', 'egress', 'prio', '5', 'bpf', 'bytecode', '1,6 0 0 1', 'flowid', '1:1');
  assert.deepEqual(examined.found(), [
    'foreign-filters warning 2 filters (u32) of tc at ingress of eno1',
    'foreign-filters warning filter bpf of tc at egress of eno1',
  ]);
});

const everything = ['u32', 'match', 'u32', '0', '0', 'flowid', '1:1'];

test("the tunnel's port is found in the hands of a process, and of another tunnel", () => {
  using examined = node();
  const fd = examined.namespace.run(() => socket(AddressFamily.INET, SocketType.DGRAM, 0));
  bind(fd, internetAddress(Uint8Array.of(0, 0, 0, 0), 8472));
  assert.match(
    examined.found().join('\n'),
    new RegExp(`^tunnel-port error UDP port 8472 is taken by process ${process.pid} `),
  );
  close(fd);
  examined.namespace.run(() => {
    using netlink = openNetlink();
    netlink.links.create({ kind: 'vxlan', name: 'flannel.1', port: 8472, external: true, up: true });
  });
  assert.deepEqual(examined.found(), [
    'tunnel-port error UDP port 8472 is taken by device flannel.1',
    'leftover-devices warning flannel.1: left by flannel, or in use by it',
  ]);
});

test('a CNI configuration before ours is seen', () => {
  using examined = node();
  writeFileSync(join(examined.cniDirectory, '01-other.conflist'), '{}');
  writeFileSync(join(examined.cniDirectory, 'README'), '');
  assert.deepEqual(examined.found(), [
    `cni-configuration warning 01-other.conflist in ${examined.cniDirectory} comes before 05-sluice.conflist`,
  ]);
});

test('this machine, on which the tests run, has no error', () => {
  const { findings, well } = examineMachine();
  assert.deepEqual(
    findings.filter(({ severity }) => severity === 'error'),
    [],
  );
  assert.ok(well.includes('kernel-features'));
});

test("a process that listens at the agent's port is found", () => {
  using examined = node({ agentPorts: [9962] });
  const fd = examined.namespace.run(() => socket(AddressFamily.INET, SocketType.STREAM, 0));
  bind(fd, internetAddress(Uint8Array.of(0, 0, 0, 0), 9962));
  assert.deepEqual(examined.found(), []);
  listen(fd, 1);
  assert.match(
    examined.found().join(),
    new RegExp(`^agent-ports warning TCP port 9962 is taken by process ${process.pid} `),
  );
  close(fd);
});
