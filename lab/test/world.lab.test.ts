// Needs root and a kernel that Sluice runs on. One lab for all of these: of one node with a second device, and of values that
// are not the homelab's.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { labWorld } from '@sluice/lab';
import { installationRoot } from '@sluice/runtime';
import { testLab } from './test-lab.ts';

const lab = testLab();
const world = labWorld([4, 6]);
const port = String(world.port);
const values = 'k8sServiceHost: 192.168.1.200\nk8sServicePort: "8443"\ndevices: [ens18]   # as the machines have it\n';
before(async () => {
  using directory = mkdtempDisposableSync('/tmp/lab-values-');
  const file = join(directory.path, 'values.yaml');
  writeFileSync(file, values);
  const shown = await lab.must('up', '--nodes', '1', '--values', file, '--second-device');
  assert.match(shown, /values changed: devices: \["ens18","ens19"\] \(--second-device\)/);
});
after(() => lab[Symbol.asyncDispose]());

const ask = (where: string, ...words: string[]) => lab.must('exec', where, '--', 'client', ...words);

function serverOf(): number {
  return JSON.parse(readFileSync(join(lab.layout.directory, 'internet.pid'), 'utf8')).pid;
}

test('a node reaches the internet by TCP, UDP and HTTP in both families, and is seen with its own address', async () => {
  for (const [target, seen] of [
    [world.internet[4], /peer=192\.168\.1\.101:/],
    [world.internet[6], /peer=\[fd00:10:10:30::101\]:/],
    [world.ipv4Only, /peer=192\.168\.1\.101:/],
    [world.ipv6Only, /peer=\[fd00:10:10:30::101\]:/],
  ] as const) {
    for (const protocol of ['tcp', 'udp', 'http'])
      assert.match(await ask('k8s-cp1', protocol, target ?? '', port), seen);
  }
});

test('what is outside has names, one of them with an IPv6 address only', async () => {
  const resolve = (name: string) => lab.must('exec', 'k8s-cp1', '--', 'resolve', name);
  assert.equal(await resolve('internet.test'), '198.51.100.10\n2001:db8:100::10\n');
  assert.equal(await resolve('ipv6.internet.test'), '2001:db8:100::6\n');
  assert.equal(await resolve('ipv4.internet.test'), '198.51.100.4\n');
  assert.match(await ask('k8s-cp1', 'tcp', 'ipv6.internet.test', port), /local=\[2001:db8:100::6\]:80/);
});

test('a client outside reaches the internet and both devices of a node', async () => {
  assert.match(await ask('client', 'tcp', world.internet[4] ?? '', port), /peer=203\.0\.113\.10:/);
  assert.match(await ask('client', 'udp', world.internet[6] ?? '', port), /peer=\[2001:db8:113::10\]:/);
  for (const address of ['192.168.1.101', '10.10.31.101', 'fd00:10:10:30::101', 'fd00:10:10:31::101']) {
    const { stdout } = await lab.run('exec', 'client', '--', 'client', 'tcp', address, '9');
    assert.match(stdout, /Connection refused/, `${address} answers`);
  }
});

test('the router knows no way to pods and services', async () => {
  for (const address of ['10.244.0.2', '10.96.0.1', 'fd00:10:244::2', 'fd00:10:96::1']) {
    const { stdout, stderr, status } = await lab.run('exec', 'router', '--', 'ip', 'route', 'get', address);
    assert.match(stdout + stderr, /unreachable/, address);
    assert.notEqual(status, 0);
  }
});

test('the server outside is started again when it ends, and does not care about the daemon', async () => {
  const first = serverOf();
  process.kill(first, 'SIGKILL');
  await ask('client', 'tcp', world.internet[4] ?? '', port, '--count', '1').catch(() => undefined);
  const deadline = performance.now() + 10_000;
  while (serverOf() === first && performance.now() < deadline) await delay(20);
  const second = serverOf();
  process.kill(JSON.parse(readFileSync(lab.layout.pidFile, 'utf8')).pid, 'SIGKILL');
  assert.match(await ask('client', 'tcp', world.internet[4] ?? '', port), /host=internet/);
  await lab.must('up');
  assert.equal(serverOf(), second);
  assert.match(await lab.must('status'), new RegExp(`internet +process ${second}\\b`));
});

test('the API server stands where the values say, on the machine and on nodes', async () => {
  assert.match(await lab.must('exec', 'k8s-cp1', '--', 'kubectl', 'cluster-info'), /https:\/\/192\.168\.1\.200:8443/);
  assert.match(await lab.must('kubectl', 'get', 'endpointslice', 'kubernetes'), /8443 +192\.168\.1\.200/);
});

test('the second device is named in the values, chosen, and may lose its carrier alone', async () => {
  assert.match(
    await lab.must('exec', 'k8s-cp1', '--', 'sluice', 'status'),
    /\[ens18 192\.168\.1\.101.*, ens19 10\.10\.31\.101/,
  );
  assert.match(await lab.must('link', 'cut', 'k8s-cp1', 'ens19'), /^k8s-cp1: the cable of ens19 is cut$/m);
  const carriers = async () => {
    const here = await lab.must('exec', 'k8s-cp1', '--', 'ip', '-br', 'link');
    const there = await lab.must('exec', 'lan', '--', 'ip', '-br', 'link');
    return ['ens18', 'ens19', 'port1', 'port1b'].map((device) =>
      new RegExp(`^${device}@\\S+ +UP`, 'm').test(here + there),
    );
  };
  assert.deepEqual(await carriers(), [true, false, true, false]);
  assert.match(
    await lab.must('status'),
    /k8s-cp1 +ready[\s\S]*the cable of ens19 is cut; mend it: sluice lab link heal/,
  );
  assert.match(await lab.must('up'), /everything is up, but for what somebody has broken/);
  assert.deepEqual(await carriers(), [true, false, true, false], 'up leaves it alone');
  await lab.must('link', 'heal', 'k8s-cp1');
  assert.deepEqual(await carriers(), [true, true, true, true]);
  const { stderr } = await lab.run('link', 'cut', 'k8s-cp1', 'eno2');
  assert.match(stderr, /k8s-cp1 has no cable at eno2\n +its devices: ens18, ens19/);
});

test('a shell in a pod has a terminal, the pod, and the programs of the lab', async () => {
  await lab.must('kubectl', 'run', 'toolbox', '--image=sluice-lab/client');
  await lab.must('kubectl', 'wait', '--for=condition=Ready', 'pod/toolbox', '--timeout=30s');
  const shown = await inTerminal(`${join(installationRoot(), 'bin/sluice')} lab shell --name ${lab.name} toolbox`, [
    'hostname; tty; resolve kubernetes',
    'exit 7',
  ]);
  assert.match(shown.text, /toolbox\r\n\/dev\/pts\/\d+\r\n10\.96\.0\.1\r\n/);
  assert.equal(shown.status, 7);
});

/** A line is typed when a prompt is there to take it. */
async function inTerminal(command: string, lines: readonly string[]): Promise<{ text: string; status: number | null }> {
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    env: { ...process.env, TERM: 'dumb' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const left = [...lines];
  let text = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (chunk: string) => {
    text += chunk;
    const next = text.endsWith('# ') ? left.shift() : undefined;
    if (next !== undefined) child.stdin.write(`${next}\n`);
  });
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { text, status };
}

test('without a terminal, and for a place that is none, it is said what to do', async () => {
  const shell = await lab.run('shell', 'toolbox');
  assert.equal(shell.status, 1);
  assert.match(shell.stderr, /needs a terminal, and this is none\n.*sluice lab exec --name \S+ toolbox -- COMMAND/);
  const { stderr } = await lab.run('exec', 'nowhere', '--', 'true');
  assert.match(stderr, /no host \(k8s-cp1, lan, router, internet, client\) and no pod is called nowhere/);
});
