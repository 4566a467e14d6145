import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { temporaryDirectory, temporaryNetworkNamespace } from '@sluice/testing';
import { startNode, type TestNode, withoutExecutable } from '../test/node.ts';

const options = { skip: withoutExecutable };
const pod =
  'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart-0;K8S_POD_UID=1-2;K8S_POD_INFRA_CONTAINER_ID=c0ffee';

function inside(netns: string, ...command: string[]): string {
  return spawnSync('nsenter', [`--net=${netns}`, ...command], { encoding: 'utf8' }).stdout;
}

test(
  "ADD gives the pod a device, both addresses, routes with the tunnel's MTU, and a state file",
  options,
  async () => {
    await using node = await startNode();
    using netns = temporaryNetworkNamespace();
    const { status, body } = node.cni({ command: 'ADD', containerId: 'c0ffee', netns: netns.path, args: pod });
    assert.equal(status, 0, JSON.stringify(body));
    assert.deepEqual(body.ips, [
      { address: '10.244.7.2/32', gateway: '10.244.7.1', interface: 1 },
      { address: 'fd00:10:244:7::2/128', gateway: 'fd00:10:244:7::1', interface: 1 },
    ]);
    assert.match(inside(netns.path, 'ip', '-o', 'link', 'show', 'eth0'), /mtu 1500.*state UP/);
    assert.match(
      inside(netns.path, 'ip', '-o', 'address', 'show', 'eth0'),
      /10\.244\.7\.2\/32[\s\S]*fd00:10:244:7::2\/128 scope global/,
    );
    assert.doesNotMatch(inside(netns.path, 'ip', '-o', 'address', 'show', 'eth0'), /tentative/);
    assert.match(
      inside(netns.path, 'ip', 'route'),
      /default via 10\.244\.7\.1 dev eth0 mtu 1450[\s\S]*10\.244\.7\.1 dev eth0 scope link mtu 1450/,
    );
    assert.match(inside(netns.path, 'ip', '-6', 'route'), /default via fd00:10:244:7::1 dev eth0/);
    assert.equal(inside(netns.path, 'cat', '/proc/sys/net/ipv6/conf/eth0/accept_ra').trim(), '0');
    const [endpoint] = await node.endpoints();
    assert.deepEqual(endpoint?.pod, { namespace: 'shop', name: 'cart-0', uid: '1-2' });
    assert.deepEqual(readdirSync(join(node.folder, 'endpoints')), [`${endpoint?.hostName}.json`]);
    assert.match(node.run('ip', '-o', 'link', 'show', String(endpoint?.hostName)), /state UP/);
  },
);

test('host ports are taken and kept', options, async () => {
  await using node = await startNode();
  using netns = temporaryNetworkNamespace();
  const portMappings = [{ HostPort: 8080, ContainerPort: 80, Protocol: 'tcp', HostIP: '' }];
  const extra = { runtimeConfig: { portMappings } };
  assert.equal(node.cni({ command: 'ADD', containerId: 'ports', netns: netns.path, args: pod, extra }).status, 0);
  await node.kill();
  await node.start();
  const [endpoint] = await node.endpoints();
  assert.deepEqual(endpoint?.hostPorts, [{ hostPort: 8080, containerPort: 80, protocol: 'TCP' }]);
});

test('the socket is for root only', options, async () => {
  await using node = await startNode();
  assert.equal(statSync(join(node.folder, 'cni.sock')).mode & 0o777, 0o600);
});

test('ADD a second time answers the same, into another namespace it is refused', options, async () => {
  await using node = await startNode();
  using netns = temporaryNetworkNamespace();
  using other = temporaryNetworkNamespace();
  const first = node.cni({ command: 'ADD', containerId: 'twice', netns: netns.path });
  const second = node.cni({ command: 'ADD', containerId: 'twice', netns: netns.path });
  assert.deepEqual(second.body, first.body);
  const third = node.cni({ command: 'ADD', containerId: 'twice', netns: other.path });
  assert.equal(third.status, 1);
  assert.equal(third.body.code, 100);
  assert.match(String(third.body.msg), /DEL comes first/);
});

test('DEL removes everything, a second time and with the namespace gone it succeeds as well', options, async () => {
  await using node = await startNode();
  using netns = temporaryNetworkNamespace();
  node.cni({ command: 'ADD', containerId: 'gone', netns: netns.path });
  assert.equal(node.cni({ command: 'DEL', containerId: 'gone', netns: netns.path }).status, 0);
  assert.equal(inside(netns.path, 'ip', '-o', 'link', 'show', 'eth0'), '');
  assert.doesNotMatch(node.run('ip', '-o', 'link'), /slc/);
  await untilNoneIsKept(node);
  assert.equal(node.cni({ command: 'DEL', containerId: 'gone', netns: netns.path }).status, 0);
  assert.equal(node.cni({ command: 'DEL', containerId: 'gone', netns: '/run/netns/never-was' }).status, 0);
  assert.equal(node.cni({ command: 'DEL', containerId: 'gone' }).status, 0);
  assert.deepEqual(await node.endpoints(), []);
});

test('an ADD right after the answer to DEL waits for the end of the removal', options, async () => {
  await using node = await startNode();
  using netns = temporaryNetworkNamespace();
  for (let round = 0; round < 10; round += 1) {
    const added = node.cni({ command: 'ADD', containerId: 'again', netns: netns.path });
    assert.equal(added.status, 0, JSON.stringify(added.body));
    assert.match(inside(netns.path, 'ip', '-o', 'link', 'show', 'eth0'), /state UP/);
    assert.equal(node.cni({ command: 'DEL', containerId: 'again', netns: netns.path }).status, 0);
  }
  await untilNoneIsKept(node);
  assert.doesNotMatch(node.run('ip', '-o', 'link'), /slc/);
});

for (const [what, redirection] of [
  ['closed', '>&-'],
  ['full', '>/dev/full'],
]) {
  test(`an ADD whose standard output is ${what} fails, and DEL after it removes everything`, options, async () => {
    await using node = await startNode();
    using netns = temporaryNetworkNamespace();
    const pod = { containerId: 'mute', netns: netns.path };
    const { status, stderr } = node.cniThrough(`exec "$0" ${redirection}`, { command: 'ADD', ...pod });
    assert.equal(status, 1);
    assert.match(stderr, /write the answer to standard output: /);
    assert.equal(node.cniThrough(`exec "$0" ${redirection}`, { command: 'DEL', ...pod }).status, 0);
    await untilNoneIsKept(node);
    assert.deepEqual(await node.endpoints(), []);
  });
}

test('CHECK passes right after ADD and names what is missing later', options, async () => {
  await using node = await startNode();
  using netns = temporaryNetworkNamespace();
  const { body } = node.cni({ command: 'ADD', containerId: 'check', netns: netns.path });
  const check = () =>
    node.cni({ command: 'CHECK', containerId: 'check', netns: netns.path, extra: { prevResult: body } });
  assert.deepEqual([check().status, check().body], [0, {}]);
  inside(netns.path, 'ip', 'route', 'delete', 'default');
  assert.match(String(check().body.msg), /the pod has no default route via 10\.244\.7\.1/);
  inside(netns.path, 'ip', 'address', 'delete', '10.244.7.2/32', 'dev', 'eth0');
  assert.match(String(check().body.msg), /eth0 lacks 10\.244\.7\.2\/32/);
  const without = node.cni({ command: 'CHECK', containerId: 'check', netns: netns.path });
  assert.equal(without.body.code, 7);
});

test('GC removes what is not in the list and leaves the rest', options, async () => {
  await using node = await startNode();
  using kept = temporaryNetworkNamespace();
  using lost = temporaryNetworkNamespace();
  node.cni({ command: 'ADD', containerId: 'kept', netns: kept.path });
  node.cni({ command: 'ADD', containerId: 'lost', netns: lost.path });
  const extra = { 'cni.dev/valid-attachments': [{ containerID: 'kept', ifname: 'eth0' }] };
  assert.equal(node.cni({ command: 'GC', extra }).status, 0);
  assert.deepEqual(
    (await node.endpoints()).map((row) => row.containerId),
    ['kept'],
  );
});

test('an ADD that fails half way leaves nothing and its address is given to the next', options, async () => {
  await using node = await startNode();
  using netns = temporaryNetworkNamespace();
  inside(netns.path, 'ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'other');
  const { status, body } = node.cni({ command: 'ADD', containerId: 'half', netns: netns.path });
  assert.deepEqual([status, body.code], [1, 100]);
  assert.match(String(body.msg), /eth0 is already there in the pod/);
  assert.doesNotMatch(node.run('ip', '-o', 'link'), /slc/);
  inside(netns.path, 'ip', 'link', 'delete', 'eth0');
  const next = node.cni({ command: 'ADD', containerId: 'half', netns: netns.path });
  assert.match(JSON.stringify(next.body.ips), /10\.244\.7\.3\/32/);
});

test("a namespace that is gone, no namespace at all, and the node's own are told apart", options, async () => {
  await using node = await startNode();
  const add = (netns: string) => node.cni({ command: 'ADD', containerId: 'odd', netns }).body;
  assert.equal(add('/run/netns/never-was').code, 3);
  assert.match(String(add('/etc/hostname').msg), /is not a network namespace/);
  assert.match(String(add('/proc/self/ns/mnt').msg), /is not a network namespace/);
  assert.match(String(add(node.netns).msg), /the node's own network namespace/);
  assert.deepEqual(await node.endpoints(), []);
});

test(
  'a full node says how many addresses there are, and stays ready: its other pods need nothing',
  options,
  async () => {
    await using node = await startNode({ prefixes: ['10.244.7.0/30', 'fd00:10:244:7::/64'] });
    using netns = temporaryNetworkNamespace();
    using other = temporaryNetworkNamespace();
    assert.equal(node.cni({ command: 'STATUS' }).status, 0);
    node.cni({ command: 'ADD', containerId: 'one', netns: netns.path });
    const { body } = node.cni({ command: 'ADD', containerId: 'two', netns: other.path });
    assert.equal(body.code, 11);
    assert.match(String(body.msg), /all 1 IPv4 addresses of 10\.244\.7\.0\/30 are in use/);
    assert.equal(node.cni({ command: 'STATUS' }).status, 0);
  },
);

test(
  'an agent that is away is said so: ADD and DEL try again, STATUS is not available, VERSION works',
  options,
  async () => {
    await using node = await startNode();
    using netns = temporaryNetworkNamespace();
    await node.kill();
    for (const command of ['ADD', 'DEL', 'CHECK', 'GC']) {
      const { body } = node.cni({ command, containerId: 'away', netns: netns.path });
      assert.equal(body.code, 11, command);
      assert.match(String(body.msg), /is sluice-agent running/);
    }
    assert.equal(node.cni({ command: 'STATUS' }).body.code, 50);
    assert.deepEqual(node.cni({ command: 'VERSION' }).body.supportedVersions, ['0.3.1', '0.4.0', '1.0.0', '1.1.0']);
  },
);

test('the last good STATUS stands while the agent is away, for a while', options, async () => {
  await using node = await startNode();
  assert.equal(node.cni({ command: 'STATUS' }).status, 0);
  await node.kill();
  assert.equal(node.cni({ command: 'STATUS' }).status, 0);
  const longAgo = new Date(Date.now() - 3_600_000);
  utimesSync(join(node.folder, 'cni.sock.available'), longAgo, longAgo);
  assert.equal(node.cni({ command: 'STATUS' }).body.code, 50);
});

test('an agent that is back within the wait answers what was asked while it was away', options, async () => {
  await using node = await startNode();
  using netns = temporaryNetworkNamespace();
  await node.kill();
  const added = node.cniLater({ command: 'ADD', containerId: 'patient', netns: netns.path, waitSeconds: 20 });
  const asked = performance.now();
  const status = node.cni({ command: 'STATUS', waitSeconds: 20 });
  // On a node that boots the kubelet waits for this answer before it starts the agent.
  assert.ok(performance.now() - asked < 5000);
  assert.equal(status.body.code, 50);
  await node.start();
  assert.equal((await added).status, 0);
  assert.match(inside(netns.path, 'ip', '-o', 'address', 'show', 'eth0'), /10\.244\.7\.2/);
});

test('after kill -9 the next agent has the same endpoints, and reports a damaged file by name', options, async () => {
  await using node = await startNode();
  using kept = temporaryNetworkNamespace();
  using gone = temporaryNetworkNamespace();
  const first = node.cni({ command: 'ADD', containerId: 'kept', netns: kept.path, args: pod });
  node.cni({ command: 'ADD', containerId: 'gone', netns: gone.path });
  const before = await node.endpoints();
  await node.kill();
  node.run('ip', 'link', 'delete', String(before[1]?.hostName));
  const damaged = join(node.folder, 'endpoints', 'slc0123456789.json');
  writeFileSync(damaged, '{"version": 1, "id"');
  await node.start();
  assert.deepEqual(await node.endpoints(), before.slice(0, 1));
  assert.ok(existsSync(join(node.folder, 'endpoints/damaged/slc0123456789.json')));
  assert.deepEqual(node.cni({ command: 'ADD', containerId: 'kept', netns: kept.path, args: pod }).body, first.body);
});

test('requests that are nonsense are refused by name and change nothing', options, async () => {
  await using node = await startNode();
  using netns = temporaryNetworkNamespace();
  using directory = temporaryDirectory();
  const add = { command: 'ADD', containerId: 'c1', netns: netns.path };
  const cases: [Parameters<typeof node.cni>[0], number, RegExp][] = [
    [{ ...add, containerId: '../../etc/passwd' }, 4, /CNI_CONTAINERID "\.\.\/\.\.\/etc\/passwd"/],
    [{ ...add, containerId: '' }, 4, /CNI_CONTAINERID is not set/],
    [{ ...add, ifname: 'a'.repeat(16) }, 4, /at most 15 bytes/],
    [{ ...add, ifname: '../eth0' }, 4, /CNI_IFNAME/],
    [{ ...add, ifname: 'lo' }, 4, /loopback/],
    [{ ...add, netns: 'relative/path' }, 4, /CNI_NETNS/],
    [{ ...add, netns: `${directory.path}/../x` }, 4, /without "\.\."/],
    [{ ...add, args: 'K8S_POD_NAMESPACE=Bad Name;K8S_POD_NAME=x' }, 4, /K8S_POD_NAMESPACE/],
    [{ ...add, args: 'nonsense' }, 4, /CNI_ARGS "nonsense"/],
    [{ ...add, version: '2.0.0' }, 1, /"2\.0\.0" is not supported/],
    [{ ...add, stdin: '{"cniVersion":' }, 6, /not a JSON object/],
    [{ ...add, stdin: `{"x":"${'a'.repeat(1 << 20)}"}` }, 6, /longer than/],
    [{ ...add, extra: { name: '' } }, 7, /is not a name/],
    [{ ...add, extra: { ipam: { type: 'host-local' } } }, 2, /ipam/],
    [{ ...add, extra: { runtimeConfig: { portMappings: [{ hostPort: 80 }] } } }, 7, /portMappings\[0\]\.containerPort/],
    [{ ...add, extra: { runtimeConfig: { bandwidth: { ingressRate: 1 } } } }, 2, /bandwidth/],
    [{ ...add, command: 'EXPLODE' }, 4, /CNI_COMMAND "EXPLODE"/],
    [{ ...add, command: 'CHECK', version: '0.3.1' }, 1, /CHECK exists since CNI 0\.4\.0/],
    [{ ...add, command: 'GC' }, 7, /valid-attachments/],
  ];
  for (const [request, code, message] of cases) {
    const { status, body } = node.cni({
      ...request,
      ...(request.stdin && { stdin: request.stdin.replace('{', `{"agentSocket":"${node.folder}/cni.sock",`) }),
    });
    assert.deepEqual([status, body.code], [1, code], JSON.stringify(body));
    assert.match(String(body.msg), message);
  }
  assert.deepEqual(await node.endpoints(), []);
  assert.doesNotMatch(node.run('ip', '-o', 'link'), /slc/);
});

test('each version of the specification gets its own wording', options, async () => {
  await using node = await startNode();
  for (const version of ['0.3.1', '0.4.0', '1.0.0', '1.1.0']) {
    using netns = temporaryNetworkNamespace();
    const { status, body } = node.cni({ command: 'ADD', containerId: `v${version}`, netns: netns.path, version });
    assert.equal(status, 0, JSON.stringify(body));
    assert.equal(body.cniVersion, version);
    assert.equal(/"version":"6"/.test(JSON.stringify(body.ips)), version.startsWith('0.'));
    assert.equal(/"mtu":1500/.test(JSON.stringify(body.interfaces)), version === '1.1.0');
  }
});

test('thirty pods at once get thirty addresses', options, async () => {
  await using node = await startNode();
  using stack = new DisposableStack();
  const pods = Array.from({ length: 30 }, (_, index) => ({
    containerId: `p${index}`,
    netns: stack.use(temporaryNetworkNamespace()),
  }));
  const answers = await Promise.all(
    pods.map(({ containerId, netns }) => node.cniLater({ command: 'ADD', containerId, netns: netns.path })),
  );
  assert.deepEqual(
    answers.filter((answer) => answer.status !== 0),
    [],
  );
  assert.equal(new Set(answers.map((answer) => JSON.stringify(answer.body.ips))).size, 30);
});

test('an agent that is killed again and again while pods come and go leaves nothing behind', options, async () => {
  await using node = await startNode();
  for (let round = 0; round < 6; round += 1) {
    using stack = new DisposableStack();
    const pods = Array.from({ length: 6 }, (_, index) => ({
      containerId: `r${round}p${index}`,
      netns: stack.use(temporaryNetworkNamespace()).path,
      waitSeconds: 20,
    }));
    const adding = pods.map((pod) => node.cniLater({ command: 'ADD', ...pod }));
    await killAfter(node, round * 8);
    const added = await Promise.all(adding);
    for (const { status, body } of added) if (status === 0) assert.match(JSON.stringify(body.ips), /10\.244\.7\./);
    const removing = pods.map((pod) => node.cniLater({ command: 'DEL', ...pod }));
    await killAfter(node, round * 8);
    // As a runtime does: what was refused is asked again.
    for (const [index, { status }] of (await Promise.all(removing)).entries()) {
      const pod = pods[index];
      if (status !== 0 && pod) assert.equal((await node.cniLater({ command: 'DEL', ...pod })).status, 0);
    }
  }
  await untilNoneIsKept(node);
  assert.deepEqual(await node.endpoints(), []);
  assert.doesNotMatch(node.run('ip', '-o', 'link'), /slc/);
});

/** The runtime has its answer to DEL before the kernel has let go of the pair, and the file goes after that. */
async function untilNoneIsKept(node: TestNode): Promise<void> {
  const kept = () => readdirSync(join(node.folder, 'endpoints'));
  for (const deadline = Date.now() + 10_000; kept().length > 0 && Date.now() < deadline; ) await delay(10);
  assert.deepEqual(kept(), []);
}

async function killAfter(node: TestNode, milliseconds: number): Promise<void> {
  await delay(milliseconds);
  await node.kill();
  await node.start();
}
