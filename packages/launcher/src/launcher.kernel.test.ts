// The static program itself, as root: what a process has in the end, and what is refused.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '@sluice/testing';
import { capabilityNumbers } from './capability.ts';
import { recommendedNodeFlags } from './node-flags.ts';
import { roles } from './roles.ts';

const repository = resolve(import.meta.dirname, '../../..');
const launcher = join(repository, 'dist/bin/sluice-launch');
const options = { skip: !existsSync(launcher) && 'not built: dist/bin/sluice-launch; npm run build makes it' };

const agentSet = Object.keys(roles.agent.capabilities).reduce(
  (set, name) => set | (1n << BigInt(capabilityNumbers[name as keyof typeof capabilityNumbers])),
  0n,
);

/** What the scripts there print: of each thread its capabilities, then the flags and the arguments. */
const script = `
import { readdirSync, readFileSync } from 'node:fs';
const threads = readdirSync('/proc/self/task').map((task) => readFileSync('/proc/self/task/' + task + '/status', 'utf8'));
const { execArgv, argv, env } = process;
console.log(JSON.stringify({ threads, execArgv, args: argv.slice(2), arenas: env.MALLOC_ARENA_MAX }));
`;

interface Started {
  readonly threads: readonly string[];
  readonly execArgv: readonly string[];
  readonly args: readonly string[];
  readonly arenas: string;
}

interface Installation extends Disposable {
  readonly path: string;
  launch(
    args: readonly string[],
    before?: readonly string[],
  ): { status: number | null; stdout: string; stderr: string };
}

function installation(): Installation {
  const directory = temporaryDirectory();
  const { path } = directory;
  mkdirSync(join(path, 'bin'));
  mkdirSync(join(path, 'dist/bin'), { recursive: true });
  symlinkSync(process.execPath, join(path, 'bin/node'));
  for (const name of ['sluice', 'sluice-agent']) symlinkSync(launcher, join(path, 'bin', name));
  writeFileSync(join(path, 'package.json'), '{"type":"module"}');
  for (const role of Object.values(roles)) writeFileSync(join(path, 'dist', role.script), script);
  writeFileSync(join(path, 'dist/bin/sluice-cni'), 'the plugin');
  return {
    path,
    launch(args, before = []) {
      const [program = launcher, ...rest] = [...before, ...args];
      return spawnSync(program, rest, { env: { SLUICE_ROOT: path, PATH: process.env.PATH }, encoding: 'utf8' });
    },
    [Symbol.dispose]: () => directory[Symbol.dispose](),
  };
}

function setsOf(status: string): Record<string, bigint> {
  const lines = status.matchAll(/^Cap(Inh|Prm|Eff|Bnd|Amb):\t(\w+)$/gm);
  return Object.fromEntries([...lines].map(([, name, hex]) => [name, BigInt(`0x${hex}`)]));
}

test('every thread of the agent has the capabilities of its role and can gain no other', options, () => {
  using root = installation();
  const { status, stdout, stderr } = root.launch([launcher, 'agent', '--node-name', 'n1']);
  assert.equal(status, 0, stderr);
  const { threads, execArgv, args, arenas } = JSON.parse(stdout) as Started;
  assert.ok(threads.length > 4, `${threads.length} threads`);
  for (const thread of threads) {
    assert.deepEqual(setsOf(thread), { Inh: agentSet, Prm: agentSet, Eff: agentSet, Bnd: agentSet, Amb: 0n });
    assert.match(thread, /^NoNewPrivs:\t1$/m);
  }
  assert.deepEqual(execArgv, recommendedNodeFlags);
  assert.deepEqual([args, arenas], [['--node-name', 'n1'], '1']);
});

test('the operator has none, also as root', options, () => {
  using root = installation();
  const { threads } = JSON.parse(root.launch([launcher, 'operator']).stdout) as Started;
  for (const thread of threads) {
    assert.deepEqual(setsOf(thread), { Inh: 0n, Prm: 0n, Eff: 0n, Bnd: 0n, Amb: 0n });
  }
});

test('the operator runs as another user than root', options, () => {
  using root = installation();
  // Where the repository is that user may not look.
  const own = join(root.path, 'bin/sluice-launch');
  copyFileSync(launcher, own);
  rmSync(join(root.path, 'bin/node'));
  copyFileSync(process.execPath, join(root.path, 'bin/node'));
  spawnSync('chmod', ['-R', 'a+rX', root.path]);
  const asUser = ['setpriv', '--reuid=65532', '--regid=65532', '--clear-groups'];
  const { status, stdout, stderr } = root.launch([own, 'operator'], asUser);
  assert.equal(status, 0, stderr);
  for (const thread of (JSON.parse(stdout) as Started).threads) assert.deepEqual(setsOf(thread).Prm, 0n);
});

test('an agent without one of its capabilities is not started, and is told what it is for', options, () => {
  using root = installation();
  const { status, stderr } = root.launch([launcher, 'agent'], ['setpriv', '--bounding-set=-net_raw']);
  assert.equal(status, 1);
  assert.match(stderr, /^sluice-launch: the agent lacks the capability NET_RAW, which it needs to send echo requests/);
});

test('the command line goes on with what it has', options, () => {
  using root = installation();
  const { status, stdout } = root.launch(
    [join(root.path, 'bin/sluice'), 'status'],
    ['setpriv', '--bounding-set=-net_raw'],
  );
  assert.equal(status, 0);
  const { threads, args } = JSON.parse(stdout) as Started;
  assert.deepEqual(args, ['status']);
  const expected = agentSet & ~(1n << BigInt(capabilityNumbers.NET_RAW));
  for (const thread of threads) assert.equal(setsOf(thread).Bnd, expected);
});

test('what cannot be dropped is not kept in silence', options, () => {
  using root = installation();
  const { status, stderr } = root.launch([launcher, 'agent'], ['setpriv', '--bounding-set=-setpcap']);
  assert.equal(status, 1);
  assert.match(
    stderr,
    /drop capability \d+ from the bounding set: Operation not permitted; let the container have only/,
  );
});

test('the plugin is installed whole, over an older one that may be running', options, () => {
  using root = installation();
  using target = temporaryDirectory();
  const plugin = join(target.path, 'sluice-cni');
  writeFileSync(plugin, 'an older one, which is longer than the new one');
  assert.equal(root.launch([launcher, 'install-cni', target.path]).status, 0);
  assert.equal(readFileSync(plugin, 'utf8'), 'the plugin');
  assert.deepEqual(readdirSync(target.path).sort(), ['loopback', 'sluice-cni']);
  assert.equal(readlinkSync(join(target.path, 'loopback')), 'sluice-cni');
});

test('a loopback plugin that somebody has installed stays', options, () => {
  using root = installation();
  using target = temporaryDirectory();
  writeFileSync(join(target.path, 'loopback'), 'theirs');
  assert.equal(root.launch([launcher, 'install-cni', target.path]).status, 0);
  assert.equal(readFileSync(join(target.path, 'loopback'), 'utf8'), 'theirs');
});

test('a folder that cannot be written is named, with what to do', options, () => {
  using root = installation();
  using target = temporaryDirectory();
  const readOnly = `mount --bind ${target.path} ${target.path} && mount -o remount,ro,bind ${target.path} && exec "$@"`;
  const { status, stderr } = root.launch(
    [launcher, 'install-cni', target.path],
    ['unshare', '--mount', 'sh', '-c', readOnly, 'sh'],
  );
  assert.equal(status, 1);
  assert.match(stderr, /write \S+\.sluice-cni\.new: Read-only file system; .* must be writable .*cni\.binPath/);
  assert.equal(root.launch([launcher, 'install-cni', join(target.path, 'none')]).status, 2);
});
