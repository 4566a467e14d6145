// Needs root. The programs that run in the lab's pods, on two hosts with a router between: no lab, no Sluice.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, test } from 'node:test';
import { type TemporaryNetworkNamespace, temporaryNetworkNamespace } from '@sluice/testing';
import { callIp, callProgram, labPod, labRun, runProgram } from '../src/host/program.ts';

const server = { 4: '10.9.2.2', 6: 'fd09:2::2' } as const;
const router = { 4: '10.9.1.1', 6: 'fd09:1::1' } as const;
const own = { 4: '10.9.1.2', 6: 'fd09:1::2' } as const;
const alias = { 4: '198.18.0.1', 6: '2001:2::1' } as const;
const families = [4, 6] as const;
/** Of the link behind the router. */
const narrowMtu = 1400;

const stack = new DisposableStack();
let client: TemporaryNetworkNamespace;

before(async () => {
  client = stack.use(temporaryNetworkNamespace());
  const between = stack.use(temporaryNetworkNamespace());
  const far = stack.use(temporaryNetworkNamespace());
  for (const { path } of [client, between, far]) {
    await callProgram(labRun, ['netns', path, 'net.ipv6.conf.all.accept_dad=0', 'net.ipv6.conf.default.accept_dad=0']);
  }
  await callProgram(labRun, ['netns', between.path, 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']);
  await link(between, client, 1, 1500);
  await link(between, far, 2, narrowMtu);
  const echo = spawn(labRun, [
    ...['exec', '--net', far.path, '--hostname', 'far', '--die-with-parent', '--'],
    ...[labPod, 'echo', '--tcp', '8080', '--udp', '8080'],
  ]);
  stack.defer(() => echo.kill());
  await new Promise((resolve) => echo.stdout.once('data', resolve));
});

after(() => stack.dispose());

/** A host behind the router, by the number of its network. */
async function link(
  between: TemporaryNetworkNamespace,
  host: TemporaryNetworkNamespace,
  network: number,
  mtu: number,
): Promise<void> {
  await callIp(between.path, [`link add to${network} type veth peer name eth0 netns ${host.path}`]);
  await callIp(between.path, [
    `address add 10.9.${network}.1/24 dev to${network}`,
    `address add fd09:${network}::1/64 dev to${network} nodad`,
    `link set to${network} mtu ${mtu} up`,
  ]);
  await callIp(host.path, [
    `address add 10.9.${network}.2/24 dev eth0`,
    `address add fd09:${network}::2/64 dev eth0 nodad`,
    `link set eth0 mtu ${mtu} up`,
    `route add default via 10.9.${network}.1`,
    `route add ::/0 via fd09:${network}::1`,
  ]);
}

const inClient = (...command: readonly string[]) =>
  runProgram(labRun, ['exec', '--net', client.path, '--', labPod, ...command]);

for (const family of families) {
  test(`IPv${family}: bytes over TCP and a datagram as large as they come go there and back`, async () => {
    const tcp = await inClient('client', 'tcp', server[family], '8080', '--bytes', '3000000');
    assert.match(tcp.stdout, /^ok 1 .* mss=\d+ retransmits=\d+ answer: host=far .* stream=3000000$/m);
    // Nobody but the sender cuts packets of IPv6: the first tells it of the narrow link.
    const udp = await inClient('client', 'udp', server[family], '8080', '--bytes', '65000', '--count', '2');
    assert.match(udp.stdout, /^ok 2 .* answer: host=far .* data=65000-bytes$/m);
  });

  test(`IPv${family}: a ping is answered whole, and counts the hops`, async () => {
    const { status, stdout } = await inClient('ping', server[family], '--length', '1000');
    assert.equal(status, 0);
    assert.match(stdout, new RegExp(`^ok 1 ms=[\\d.]+ from=${server[family]} length=1000 hops=63$`, 'm'));
  });

  test(`IPv${family}: a ping that has too few hops, or is too big for a link on its way, says who stopped it`, async () => {
    const few = await inClient('ping', server[family], '--hops', '1');
    assert.match(few.stdout, new RegExp(` from=${router[family]} type=time-exceeded$`, 'm'));
    const big = await inClient('ping', server[family], '--length', String(narrowMtu + 1), '--df');
    assert.match(big.stdout, new RegExp(` from=${router[family]} type=too-big mtu=${narrowMtu}$`, 'm'));
    const fits = await inClient('ping', server[family], '--length', String(narrowMtu), '--df');
    assert.equal(fits.status, 0, fits.stdout);
    const huge = await inClient('ping', server[family], '--length', '1501', '--df');
    assert.match(huge.stdout, new RegExp(` from=sender type=too-big mtu=${narrowMtu}$`, 'm'));
  });

  test(`IPv${family}: a datagram in fragments arrives in either order, and from somebody else it is answered to them`, async () => {
    for (const order of [[], ['--reverse']]) {
      const fragments = ['--bytes', '3000', '--fragment', '800', ...order];
      const { stdout } = await inClient('datagram', server[family], '8080', ...fragments);
      assert.match(stdout, /^ok 1 .* answer: host=far .* data=3000-bytes$/m, order.join());
    }
    const heard = inClient('listen', '7777', '1000');
    const spoof = ['--source', own[family], '--source-port', '7777', '--count', '5', '--interval', '100'];
    assert.match((await inClient('datagram', server[family], '8080', ...spoof)).stdout, /^sent 5$/m);
    assert.match((await heard).stdout, /^heard from=.*:8080 length=\d+$/m);
  });

  test(`IPv${family}: a stack of its own inside the namespace speaks from the namespace's address`, async () => {
    const behind = (...command: readonly string[]) => inClient('ownstack', '--for', server[family], '--', ...command);
    const tcp = await behind(labPod, 'client', 'tcp', alias[family], '8080', '--bytes', '1000000');
    assert.match(tcp.stdout, /^ok 1 .* answer: host=far .* stream=1000000$/m, tcp.stderr);
    assert.ok(tcp.stdout.includes(` peer=${family === 4 ? own[4] : `[${own[6]}]`}:`), tcp.stdout);
    const udp = await behind(labPod, 'client', 'udp', alias[family], '8080', '--bytes', '20000');
    assert.match(udp.stdout, / data=20000-bytes$/m, udp.stderr);
    const closed = await behind(labPod, 'client', 'udp', alias[family], '8081');
    assert.match(closed.stdout, /^failed 1 .*: Connection refused$/m);
    const refused = await behind(labPod, 'client', 'tcp', alias[family], '8081');
    assert.match(refused.stdout, /^failed 1 .*: Connection refused$/m);
  });
}

for (const family of families) {
  test(`IPv${family}: a port that a socket of the namespace has is another one on the wire`, async () => {
    const port = '40123';
    const taken = (...command: readonly string[]) =>
      inClient('ownstack', '--for', server[family], '--', labPod, 'client', ...command, '--source-port', port);
    const echo = spawn(labRun, [
      ...['exec', '--net', client.path, '--die-with-parent', '--', labPod, 'echo'],
      ...['--tcp', port, '--udp', port],
    ]);
    try {
      await new Promise((resolve) => echo.stdout.once('data', resolve));
      for (const [protocol, bytes] of [
        ['tcp', '100000'],
        ['udp', '20000'],
      ] as const) {
        const { stdout, stderr } = await taken(protocol, alias[family], '8080', '--bytes', bytes);
        assert.match(stdout, /^ok 1 .* answer: host=far /m, stderr);
        const peer = / peer=\S*:(\d+)\b/.exec(stdout)?.[1];
        assert.ok(peer !== undefined && peer !== port, stdout);
        const refused = await taken(protocol, alias[family], '8081');
        assert.match(refused.stdout, /^failed 1 .*: Connection refused$/m, refused.stderr);
      }
    } finally {
      echo.kill();
    }
  });
}

test('ownstack ends as its command does', async () => {
  assert.equal((await inClient('ownstack', '--', 'sh', '-c', 'exit 7')).status, 7);
  const missing = await inClient('ownstack', '--', '/nonexistent');
  assert.equal(missing.status, 1);
  assert.match(missing.stderr, /^lab-pod: start \/nonexistent: No such file or directory$/m);
});
