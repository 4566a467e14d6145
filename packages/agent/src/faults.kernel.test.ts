// What may happen to a node behind the agent's back: the status tells it when it is asked, and what can be repaired is.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { AttachType, attachCgroup, attachTcx, BpfMap, Link, openMap } from '@sluice/bpf';
import { CtState, conntrackMap, netnsEndpointsMap, shortagesMap } from '@sluice/datapath';
import { AddressFamily, close, inNetworkNamespace, internetAddress, SocketType, sendto, socket } from '@sluice/ffi';
import { parseAddress } from '@sluice/net';
import { openNetlink } from '@sluice/netlink';
import { type Gathered, installationRoot } from '@sluice/runtime';
import { temporaryNetworkNamespace } from '@sluice/testing';
import { type AgentNode, agentNode, ownNode } from '../test/agent-process.ts';
import { attachForeignXdp, foreignClassifier, foreignConnect, Verdict } from '../test/foreign-program.ts';
import type { MonitorEvent, NatPortsReport, StatusReport, TableLine } from './report.ts';

const needed = ['dist/bin/sluice-cni', 'bpf/build/pod.o'].filter((path) => !existsSync(join(installationRoot(), path)));
const options = { skip: needed.length > 0 && `not built: ${needed.join(', ')}; npm run build makes it` };

// Most of the time is the agent's, until it looks again: several nodes can wait at once.
suite('faults of a node', { concurrency: 4 }, () => {
  test('links that somebody detached are told at once and attached again', options, async () => {
    await using node = agentNode();
    using pod = temporaryNetworkNamespace();
    await node.start();
    await addPod(node, pod.path);
    const names = ['overlay', 'sock_connect4', ...linkNames(node).filter((name) => name.startsWith('pod_'))];
    assert.equal(names.length, 3);
    const told = await toldOf(node, () => {
      for (const name of names) {
        using link = Link.openPinned(pinOf(node, name));
        link.detach();
      }
    });
    for (const name of names)
      assert.match(told, new RegExp(`${name}: its (device|cgroup) is gone, or somebody has detached`));
    await untilWell(node, 'datapath');
  });

  test("another's program in one of our links is told, and ours takes its place again", options, async () => {
    await using node = agentNode();
    using pod = temporaryNetworkNamespace();
    await node.start();
    await addPod(node, pod.path);
    using intruder = foreignClassifier('intruder', Verdict.next);
    const { id } = intruder.info();
    const told = await toldOf(node, () => {
      for (const name of linkNames(node).filter((each) => /^(overlay|host|pod_)/.test(each))) {
        using link = Link.openPinned(pinOf(node, name));
        link.update(intruder);
      }
    });
    for (const name of ['overlay', 'host', 'pod_\\w+'])
      assert.match(told, new RegExp(`${name}: it runs program ${id}, which is not ours`));
    await untilWell(node, 'datapath');
  });

  test(
    'programs of others at our hooks are told with their place, and by name when they drop; ours still run',
    options,
    async () => {
      await using node = agentNode();
      using pod = temporaryNetworkNamespace();
      await node.start();
      await addPod(node, pod.path);
      const others = async () => ((await node.get('/status')) as StatusReport).foreignPrograms;
      assert.deepEqual(await others(), []);
      using netlink = openNetlink({ namespace: node.netns });
      const device = netlink.links.list().find(({ name }) => name.startsWith('slc'));
      const { ifindex = 0, name } = device ?? {};
      const at = { ifindex, hook: 'ingress', place: 'before' } as const;
      using passing = foreignClassifier('passing', Verdict.next);
      using dropping = foreignClassifier('dropping', Verdict.drop);
      {
        using _before = inNetworkNamespace(node.netns, () => attachTcx({ ...at, program: passing }));
        const [told, ...more] = await others();
        const { id } = passing.info();
        assert.deepEqual(
          [told, more],
          [{ hook: `ingress of ${name}`, device: name, id, name: 'passing', place: 'before ours' }, []],
        );
        inNetworkNamespace(pod.path, sendToNobody);
        await until(async () => (await dropReasons(node)).includes('stale or unroutable address'), 2_000);
        assert.equal(await whyDegraded(node, 'datapath'), '');
      }
      using _before = inNetworkNamespace(node.netns, () => attachTcx({ ...at, program: dropping }));
      inNetworkNamespace(pod.path, sendToNobody);
      await until(
        async () => (await dropReasons(node)).some((reason) => /by another program at ingress/.test(reason)),
        2_000,
      );
      const events = (await node.get('/events?last=20')) as readonly MonitorEvent[];
      assert.match(
        JSON.stringify(events),
        new RegExp(`dropping \\(id ${dropping.info().id}, ingress of ${name}, before ours\\)`),
      );
    },
  );

  test("a program of somebody else at the node's cgroup, one at XDP and a filter of tc are told", options, async () => {
    await using node = agentNode();
    await node.start();
    using connect = foreignConnect('connect_other');
    using _link = attachCgroup({ program: connect, cgroup: node.cgroup, attachType: AttachType.cgroupInet4Connect });
    attachForeignXdp(node.netns, 'eno1', 'xdp_other');
    const tc = (words: string) => command('nsenter', `--net=${node.netns}`, 'tc', ...words.split(' '));
    tc('qdisc add dev eno1 clsact');
    tc('filter add dev eno1 egress prio 3 protocol ip u32 match u32 0 0 flowid 1:1');
    const { foreignPrograms, foreignFilters } = (await node.get('/status')) as StatusReport;
    assert.deepEqual(foreignFilters, [{ device: 'eno1', hook: 'egress', kind: 'u32', priority: 3 }]);
    assert.deepEqual(
      foreignPrograms.map(({ hook, name, place }) => [hook, name, place]),
      [
        ['XDP of eno1', 'xdp_other', 'before ours'],
        ["connect4 of the node's cgroup", 'connect_other', 'after ours'],
      ],
    );
  });

  test("a pod's device that somebody takes down or renames is put right within a moment", options, async () => {
    await using node = agentNode();
    using pod = temporaryNetworkNamespace();
    await node.start();
    await addPod(node, pod.path);
    using netlink = openNetlink({ namespace: node.netns });
    const device = () => netlink.links.list().find(({ name }) => name.startsWith('slc'));
    const { ifindex = 0, name } = device() ?? {};
    netlink.links.set({ ifindex, up: false });
    await until(() => device()?.up === true, 2_000);
    netlink.links.set({ ifindex, name: 'other' });
    await until(() => netlink.links.get(ifindex)?.name === name, 2_000);
    await untilWell(node, 'endpoints');
  });

  test("a pod's device that somebody removed is told", options, async () => {
    await using node = agentNode();
    using pod = temporaryNetworkNamespace();
    await node.start();
    await addPod(node, pod.path);
    using netlink = openNetlink({ namespace: node.netns });
    const device = netlink.links.list().find(({ name }) => name.startsWith('slc'));
    netlink.links.delete(device?.ifindex ?? 0);
    await until(
      async () => /device slc\w+ is gone: somebody removed it/.test(await whyDegraded(node, 'endpoints')),
      2_000,
    );
  });

  test(
    'a state folder that cannot be written is told; new pods are refused, those that are there go on and go away',
    options,
    async () => {
      await using node = agentNode();
      using pod = temporaryNetworkNamespace();
      using other = temporaryNetworkNamespace();
      await node.start();
      await addPod(node, pod.path);
      {
        using _readOnly = readOnlyFolder(node.stateDir);
        const told = /new pods are refused: .*state cannot be written: EROFS/;
        assert.match((await cni(node)).why ?? '', told);
        assert.match(String(node.cni('ADD', 'c2', other.path).body.msg), /EROFS/);
        assert.equal(node.cni('STATUS', '', '').status, 0);
        await node.kill();
        await node.start();
        assert.match((await cni(node)).why ?? '', told);
        assert.equal(await endpointCount(node), 1);
        assert.equal(node.cni('DEL', 'c1', pod.path).status, 0);
        assert.equal(await endpointCount(node), 0);
      }
      assert.equal((await cni(node)).state, 'ok');
      assert.equal(node.cni('ADD', 'c2', other.path).status, 0);
    },
  );

  test('a state folder that is full is told', options, async () => {
    await using node = agentNode();
    using pod = temporaryNetworkNamespace();
    await node.start();
    {
      using _full = fullFolder(node.stateDir);
      assert.match((await cni(node)).why ?? '', /new pods are refused: .*state cannot be written: ENOSPC/);
      assert.match(String(node.cni('ADD', 'c1', pod.path).body.msg), /ENOSPC/);
    }
    assert.equal((await cni(node)).state, 'ok');
  });

  test(
    'a state folder that somebody empties costs nobody anything, also when the agent is killed right then',
    options,
    async () => {
      await using node = agentNode();
      using pod = temporaryNetworkNamespace();
      using other = temporaryNetworkNamespace();
      await node.start();
      await addPod(node, pod.path);
      const facts = readFileSync(join(node.stateDir, 'node.json'));
      for (const name of readdirSync(node.stateDir)) rmSync(join(node.stateDir, name), { recursive: true });
      assert.equal(node.cni('ADD', 'c2', other.path).status, 0);
      await node.kill();
      writeFileSync(join(node.stateDir, 'node.json'), facts); // No API server tells it here.
      await node.start();
      assert.equal(await endpointCount(node), 2);
      assert.equal(await whyDegraded(node, 'endpoints'), '');
    },
  );

  test('a node without a free address says that new pods are refused', options, async () => {
    await using node = agentNode();
    using pod = temporaryNetworkNamespace();
    writeFileSync(join(node.stateDir, 'node.json'), JSON.stringify({ ...ownNode, podCidrs: ['10.244.0.0/30'] }));
    await node.start('ipv6: { enabled: false }');
    assert.equal((await cni(node)).state, 'ok');
    assert.equal(node.cni('ADD', 'c1', pod.path).status, 0);
    assert.match(
      (await cni(node)).why ?? '',
      /new pods are refused: all 1 IPv4 addresses of 10\.244\.0\.0\/30 are in use/,
    );
  });

  test('a socket that somebody removes is told and made anew, and so is the one that tells', options, async () => {
    await using node = agentNode();
    await node.start();
    rmSync(join(node.runDir, 'cni.sock'));
    assert.match((await cni(node)).why ?? '', /somebody has removed .*cni\.sock/);
    await until(async () => (await cni(node)).state === 'ok', 15_000);
    assert.equal(node.cni('STATUS', '', '').status, 0);
    rmSync(join(node.runDir, 'sluice.sock'));
    await until(() => existsSync(join(node.runDir, 'sluice.sock')), 15_000);
    assert.equal((await cni(node)).state, 'ok');
  });

  test(
    "the CNI configuration is written again, and another's that runtimes would take first is told",
    options,
    async () => {
      await using node = agentNode();
      await node.start();
      const written = readFileSync(node.cniConfig, 'utf8');
      rmSync(node.cniConfig);
      assert.match((await cni(node)).why ?? '', /05-sluice\.conflist is missing/);
      await until(() => existsSync(node.cniConfig), 15_000);
      assert.equal(readFileSync(node.cniConfig, 'utf8'), written);
      writeFileSync(join(dirname(node.cniConfig), '00-other.conf'), '{}');
      assert.match((await cni(node)).why ?? '', /runtimes use .*00-other\.conf, which comes before ours/);
      rmSync(join(dirname(node.cniConfig), '00-other.conf'));
      writeFileSync(join(dirname(node.cniConfig), '10-other.conflist'), '{}');
      assert.equal((await cni(node)).state, 'ok');
    },
  );

  test('forwarding and filters that somebody switches are switched back within a moment', options, async () => {
    await using node = agentNode();
    await node.start();
    using netlink = openNetlink({ namespace: node.netns });
    assert.ok(netlink.links.get('sluice_host'));
    for (const [setting, good, bad] of [
      ['net/ipv4/ip_forward', '1', '0'],
      ['net/ipv6/conf/all/forwarding', '1', '0'],
      ['net/ipv4/conf/sluice_host/rp_filter', '0', '1'],
    ] as const) {
      const path = join('/proc/sys', setting);
      const now = () => inNetworkNamespace(node.netns, () => readFileSync(path, 'utf8').trim());
      assert.equal(now(), good, setting);
      inNetworkNamespace(node.netns, () => writeFileSync(path, bad));
      await until(() => now() === good, 3_000);
    }
  });

  test('a device that is gone, or has another name, is told', options, async () => {
    await using node = agentNode();
    await node.start('devices: [eno1]');
    assert.equal(await whyDegraded(node, 'nodes'), '');
    using netlink = openNetlink({ namespace: node.netns });
    const { ifindex = 0 } = netlink.links.get('eno1') ?? {};
    netlink.links.set({ ifindex, name: 'lan0' });
    await until(
      async () => /devices names eno1, which no device is called/.test(await whyDegraded(node, 'nodes')),
      3_000,
    );
    netlink.links.delete(ifindex);
    await until(
      async () => /10\.10\.30\.101 of Node k8s-cp1 is on no device/.test(await whyDegraded(node, 'nodes')),
      3_000,
    );
  });

  test('a map that is nearly full is told before it refuses anything', options, async () => {
    await using node = agentNode();
    await node.start();
    assert.equal(await whyDegraded(node, 'maps'), '');
    using pinned = BpfMap.openPinned(join(node.bpffs, 'sluice/maps/netns_endpoints'));
    const map = openMap(pinned, netnsEndpointsMap);
    const row = { endpointId: 1, identity: 1, ipv4: undefined, ipv6: undefined };
    const full = Math.ceil(0.9 * pinned.info.maxEntries);
    map.updateBatch(Array.from({ length: full }, (_, index) => [BigInt(1_000_000 + index), row] as const));
    assert.match(
      await whyDegraded(node, 'maps'),
      new RegExp(`netns_endpoints has ${full} of ${pinned.info.maxEntries} entries`),
    );
  });

  test('connections that fill their table are an alarm, and those that are over make room', options, async () => {
    await using node = agentNode();
    await node.start();
    using pinned = BpfMap.openPinned(join(node.bpffs, 'sluice/maps/conntrack'));
    const map = openMap(pinned, conntrackMap);
    const full = Math.ceil(0.95 * pinned.info.maxEntries);
    const fill = (expiresNs: bigint) =>
      map.updateBatch(Array.from({ length: full }, (_, number) => connectionRow(number, expiresNs)));
    fill(process.hrtime.bigint() + 3_600_000_000_000n);
    await until(async () => /95% of the table are in use/.test(await whyDegraded(node, 'conntrack')), 40_000);
    fill(1n);
    await until(async () => (await whyDegraded(node, 'conntrack')) === '', 40_000);
    assert.ok(map.count() < full / 100, `${map.count()} connections are left`);
  });

  test(
    'ports that are nearly all taken towards one destination are told, with those who have them',
    options,
    async () => {
      await using node = agentNode();
      await node.start();
      using pinned = BpfMap.openPinned(join(node.bpffs, 'sluice/maps/conntrack'));
      const map = openMap(pinned, conntrackMap);
      const nearly = Math.ceil(0.85 * 61_744);
      map.updateBatch(Array.from({ length: nearly - 1 }, (_, number) => masqueradedRow(number)));
      const told = async () => ((await node.get('/status')) as StatusReport).natPorts;
      await until(async () => (await told())?.ports === nearly - 1, 15_000);
      assert.equal(await whyDegraded(node, 'nat-ports'), '');
      map.updateBatch([masqueradedRow(nearly - 1)]);
      await until(
        async () =>
          new RegExp(
            `^${nearly} of 61744 ports of 10\\.10\\.30\\.101 are taken towards 198\\.51\\.100\\.10:443/TCP`,
          ).test(await whyDegraded(node, 'nat-ports')),
        15_000,
      );
      assert.equal(await metricOf(node, 'cilium_nat_endpoint_max_connection', 'ipv4'), nearly / 61_744);
      assert.equal(await metricOf(node, 'cilium_nat_endpoint_max_connection', 'ipv6'), 0);
      const [first] = (await node.get('/nat-ports?limit=1')) as NatPortsReport[];
      assert.deepEqual(first?.clients, [
        { address: '10.244.0.9', name: '', ports: nearly - 1_000 },
        { address: '10.244.0.8', name: '', ports: 1_000 },
      ]);
      map.deleteBatch(Array.from({ length: nearly }, (_, number) => masqueradedRow(number)[0]));
      await until(async () => (await whyDegraded(node, 'nat-ports')) === '', 15_000);
      assert.equal(await told(), undefined);
    },
  );

  test('a destination that the programs found no port for is told, whoever has them', options, async () => {
    await using node = agentNode();
    await node.start();
    using pinned = BpfMap.openPinned(join(node.bpffs, 'sluice/maps/shortages'));
    const map = openMap(pinned, shortagesMap);
    const ends = { source: parseAddress('2001:db8::1'), destination: parseAddress('fd00:10:10:30::101') };
    const exhaustedUntilNs = process.hrtime.bigint() + 1_000_000_000n;
    map.update(
      { ...ends, sourcePort: 443, destinationPort: 0, protocol: 6 },
      { exhaustedUntilNs, looks: 0, looksBefore: 0, easy: 0 },
    );
    await until(
      async () =>
        /^no port of fd00:10:10:30::101 is left towards \[2001:db8::1\]:443\/TCP/.test(
          await whyDegraded(node, 'nat-ports'),
        ),
      15_000,
    );
    assert.equal(await metricOf(node, 'cilium_nat_endpoint_max_connection', 'ipv6'), 1);
    await until(async () => (await whyDegraded(node, 'nat-ports')) === '', 30_000);
  });
});

/** A pod that the reconcilers have looked at, too. */
/** What the status tells of it; again, when the agent has just looked and put it right before it was asked. */
async function toldOf(node: AgentNode, tamper: () => void): Promise<string> {
  for (let attempt = 0; attempt < 3; attempt += 1) {
    tamper();
    const told = await whyDegraded(node, 'datapath');
    if (told !== '') return told;
  }
  return '';
}

async function addPod(node: AgentNode, netns: string): Promise<void> {
  assert.equal(node.cni('ADD', 'c1', netns).status, 0);
  const status = async () => (await endpointLines(node))[0]?.cells.at(-1);
  await until(async () => (await status()) === 'done', 2_000);
}

function connectionRow(number: number, expiresNs: bigint) {
  const { key, value } = conntrackMap;
  const tuple = key.decode(new DataView(new ArrayBuffer(key.size)), 0);
  const connection = value.decode(new DataView(new ArrayBuffer(value.size)), 0);
  const ports = { sourcePort: number & 0xffff, destinationPort: number >>> 16 };
  return [
    { ...tuple, ...ports, protocol: 6 },
    { ...connection, state: CtState.Established, expiresNs },
  ] as const;
}

/** The first thousand of one pod, the others of another. */
/** NodePorts are left out. */
function masqueradedRow(number: number) {
  const [tuple, connection] = connectionRow(number, process.hrtime.bigint() + 3_600_000_000_000n);
  const source = parseAddress(number < 1_000 ? '10.244.0.8' : '10.244.0.9');
  const snat = { address: parseAddress('10.10.30.101'), port: number < 32_768 ? 32_768 + number : number - 31_744 };
  const ends = { source, sourcePort: snat.port, destination: parseAddress('198.51.100.10'), destinationPort: 443 };
  return [
    { ...tuple, ...ends },
    { ...connection, snat },
  ] as const;
}

async function metricOf(node: AgentNode, name: string, label: string): Promise<unknown> {
  const { values } = (await node.get('/metrics')) as Gathered;
  const samples = values.find((metric) => metric.name === name)?.samples ?? [];
  const found = samples.find(({ labels }) => labels[0] === label);
  return found && 'value' in found ? found.value : undefined;
}

/** From a pod: an address of its node that no pod has. */
function sendToNobody(): void {
  const fd = socket(AddressFamily.INET, SocketType.DGRAM);
  sendto(fd, Buffer.from('anybody?'), internetAddress(Uint8Array.of(10, 244, 0, 200), 9));
  close(fd);
}

async function dropReasons(node: AgentNode): Promise<string[]> {
  return ((await node.get('/status')) as StatusReport).drops.map(({ reason }) => reason);
}

function readOnlyFolder(path: string): Disposable {
  command('mount', '--bind', path, path);
  command('mount', '-o', 'remount,bind,ro', path);
  return { [Symbol.dispose]: () => command('umount', path) };
}

/** Of two pages, which are taken. */
function fullFolder(path: string): Disposable {
  command('mount', '-t', 'tmpfs', '-o', 'size=8k', 'tmpfs', path);
  writeFileSync(join(path, 'taken'), new Uint8Array(8192));
  return { [Symbol.dispose]: () => command('umount', path) };
}

function command(file: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(file, args, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
}

async function cni(node: AgentNode): Promise<StatusReport['cni']> {
  return ((await node.get('/status')) as StatusReport).cni;
}

async function endpointCount(node: AgentNode): Promise<number> {
  return (await endpointLines(node)).length;
}

async function endpointLines(node: AgentNode): Promise<TableLine[]> {
  return (await node.rows('/tables/endpoints')).slice(1) as TableLine[];
}

function linkNames(node: AgentNode): string[] {
  return readdirSync(join(node.bpffs, 'sluice/links'));
}

function pinOf(node: AgentNode, name: string): string {
  return join(node.bpffs, 'sluice/links', name);
}

/** Empty while the module is well. */
async function whyDegraded(node: AgentNode, module: string): Promise<string> {
  const { modules } = (await node.get('/status')) as StatusReport;
  const found = modules.find(({ name }) => name === module);
  assert.ok(found, `no module ${module}`);
  return found.state === 'degraded' ? (found.why ?? '') : '';
}

/** The agent looks every ten seconds. */
async function untilWell(node: AgentNode, module: string): Promise<void> {
  await until(async () => (await whyDegraded(node, module)) === '', 15_000);
}

async function until(look: () => boolean | Promise<boolean>, patienceMs: number): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (!(await look())) {
    assert.ok(performance.now() < deadline, `not after ${patienceMs} ms: ${look}`);
    await delay(20);
  }
}
