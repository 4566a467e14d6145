import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { tarArchive } from '@sluice/runtime/tar';
import { createProgram, runProgram } from '../program.ts';
import { agent, sluice } from '../test-agent.ts';
import { folder, unpacked } from '../test-archive.ts';
import { podObject, serveCommands, type TestCommand, testCluster } from '../test-cluster.ts';
import { answering, testPlugin } from '../test-plugin.ts';
import { statusReport } from '../test-report.ts';

/** What `sluice` says in an agent's pod, where that agent's socket is. */
function inPod(socketOf: (pod: string) => string): TestCommand {
  return async (pod, [program, ...args], out) => {
    assert.equal(program, 'sluice');
    const { signal } = new AbortController();
    const context = {
      // Led astray by this it would dump the cluster from within, again and again.
      environment: { SLUICE_SOCKET: socketOf(pod), KUBECONFIG: '/nonexistent/kubeconfig' },
      out: { write: out.write },
      err: { write: out.error },
      signal,
    };
    return runProgram(createProgram(context), args, context);
  };
}

const answersOf = (node: string) => ({
  '/version': { version: '0.1.0' },
  '/status': { ...statusReport, node },
  '/tables': [{ name: 'nodes', rows: 1 }],
  '/tables/nodes': '{"name":"nodes"}\n',
  '/maps': [{ name: 'frontends', type: 'hash', maxEntries: 9 }],
  '/maps/frontends?limit=10001': '{"key":1,"value":1}\n',
  '/metrics': [],
});

const packed = (files: Readonly<Record<string, string>>) =>
  gzipSync(
    tarArchive(
      Object.entries(files).map(([path, text]) => ({ path, content: Buffer.from(text), mode: 0o644 as const })),
    ),
  );

test('from a workstation the archive has a folder a node, by the word of its agent, and nothing of the workstation', async () => {
  using place = folder();
  await using cluster = await testCluster(['n1', 'n2']);
  using first = await agent(answersOf('n1'));
  using second = await agent(answersOf('n2'));
  serveCommands(
    cluster.api,
    inPod((pod) => (pod === 'sluice-agent-n1' ? first.socket : second.socket)),
  );
  const output = join(place.path, 'dump.tar.gz');
  const { err, out, exitCode } = await sluice(['--kubeconfig', cluster.kubeconfig, 'sysdump', '--output', output]);
  assert.equal(exitCode, 0, err);
  assert.match(out, /dump\.tar\.gz: \d+ files/);
  const files = unpacked(output);
  for (const node of ['n1', 'n2']) {
    assert.equal(JSON.parse(files.get(`nodes/${node}/status.json`) ?? '').node, node);
    assert.match(files.get(`nodes/${node}/status.txt`) ?? '', new RegExp(`^Node: +${node} `));
    assert.equal(files.get(`nodes/${node}/tables/nodes.jsonl`), '{"name":"nodes"}\n');
    assert.equal(files.get(`nodes/${node}/maps/frontends.jsonl`), '{"key":1,"value":1}\n');
    assert.equal(files.get(`nodes/${node}/metrics.json`), '[]\n');
    assert.match(files.get(`nodes/${node}/network.json`) ?? '', /"name": "lo"/);
    assert.match(err, new RegExp(`^node ${node}: \\d+ files$`, 'm'));
    // What an agent could not tell is told of its node.
    assert.match(files.get('missing.txt') ?? '', new RegExp(`^nodes/${node}/programs\\.json: agent answers 404`, 'm'));
  }
  assert.match(files.get('cluster/status.txt') ?? '', /^n1 +Ok/m);
  assert.deepEqual(
    [...files.keys()].filter((path) => path.startsWith('node/') || path.includes('logs/n')),
    [],
  );
});

test('a node that cannot be asked has a file that says why, and the others go on', async () => {
  using place = folder();
  await using cluster = await testCluster([
    'away',
    'garbage',
    'good',
    'half',
    'hostile',
    'none',
    'old',
    'pulling',
    'slow',
  ]);
  cluster.api.store.put('pods', podObject('agent', 'pulling', { ready: false }));
  cluster.api.store.remove('pods', 'kube-system/sluice-agent-none');
  const whole = packed({ 'd/node/status.json': '{"fine":true}', 'd/node/x.txt': 'x'.repeat(100_000) });
  const says: Readonly<Record<string, TestCommand>> = {
    away: () => Promise.reject(new Error('no kubelet')),
    garbage: async (_pod, _command, out) => {
      out.write('this is no archive');
      return 0;
    },
    good: async (_pod, _command, out) => {
      // In pieces, as they come.
      for (let begin = 0; begin < whole.length; begin += 100) out.write(whole.subarray(begin, begin + 100));
      return 0;
    },
    half: async (_pod, _command, out) => {
      out.write(whole.subarray(0, whole.length - 40));
      return 0;
    },
    hostile: async (_pod, _command, out) => {
      out.write(packed({ 'd/../../../etc/passwd': 'root', 'd/node/a b\n.json': '{"password":"hunter2hunter2"}' }));
      return 0;
    },
    old: async (_pod, _command, out) => {
      out.error("error: unknown option '--no-logs'\n");
      return 2;
    },
    slow: () => new Promise(() => undefined),
  };
  serveCommands(cluster.api, (pod, command, out) => {
    if (command[1] === 'status') return Promise.resolve(1);
    return says[pod.replace('sluice-agent-', '')]?.(pod, command, out) ?? Promise.reject(new Error(pod));
  });
  const output = join(place.path, 'dump.tar.gz');
  const args = ['sysdump', '--output', output, '--kubeconfig', cluster.kubeconfig, '--node-timeout', '1'];
  const { err, exitCode } = await sluice(args);
  assert.equal(exitCode, 0, err);
  const files = unpacked(output);
  const why = (node: string, file = 'unreachable') => files.get(`nodes/${node}/${file}.txt`) ?? '';
  assert.match(why('away'), /exec in pod kube-system\/sluice-agent-away: the connection ended/);
  assert.match(why('garbage'), /its archive cannot be read: incorrect header check/);
  assert.match(why('half', 'incomplete'), /its archive cannot be read: unexpected end of file/);
  assert.match(why('none'), /no agent runs there/);
  assert.match(why('old'), /its sysdump ends with exit status 2: error: unknown option '--no-logs'/);
  assert.match(why('pulling'), /the agent has not started: ImagePullBackOff/);
  assert.match(why('slow'), /no end within 1 s/);
  assert.deepEqual(JSON.parse(files.get('nodes/good/status.json') ?? ''), { fine: true });
  assert.equal(files.get('nodes/good/x.txt')?.length, 100_000);
  assert.deepEqual(JSON.parse(files.get('nodes/half/status.json') ?? ''), { fine: true });
  for (const node of ['away', 'garbage', 'half', 'none', 'old', 'pulling', 'slow'])
    assert.match(err, new RegExp(`^not there: nodes/${node}: `, 'm'));
  // Names and contents of an archive from outside are nobody's but its own.
  const hostile = [...files].filter(([path]) => path.startsWith('nodes/hostile/'));
  assert.deepEqual(hostile.map(([path]) => path.replace(/~\w{8}/g, '~')).sort(), [
    'nodes/hostile/_~/_~/_~/etc/passwd',
    'nodes/hostile/a_b_.json~',
  ]);
  assert.equal(JSON.stringify(hostile).includes('hunter2'), false);
});

test('a dump that is broken off leaves no archive, and one that cannot be written says so', async () => {
  using place = folder();
  await using cluster = await testCluster(['n1']);
  const stop = new AbortController();
  serveCommands(cluster.api, (_pod, command) => {
    if (command[1] === 'sysdump') stop.abort();
    return command[1] === 'sysdump' ? new Promise(() => undefined) : Promise.resolve(1);
  });
  const output = join(place.path, 'dump.tar.gz');
  const context = { environment: {}, out: { write: () => 0 }, err: { write: () => 0 }, signal: stop.signal };
  const args = ['sysdump', '--output', output, '--kubeconfig', cluster.kubeconfig];
  assert.equal(await runProgram(createProgram(context), args, context), 130);
  assert.deepEqual(readdirSync(place.path), []);
  const { err, exitCode } = await sluice(['sysdump', '--output', '/dev/full']);
  assert.deepEqual([exitCode, /--output \/dev\/full: /.test(err)], [2, true], err);
});

test('no secret is in what nodes, logs and objects of a cluster give, nor the one that a plugin has told', async () => {
  using place = folder();
  const canary = (where: string) => `c4n4ry-${where}-c04l-m1n3`;
  const plugin = testPlugin(place.path, answering({ token: canary('plugin') }), {
    env: [{ name: 'CLIENT_SECRET', value: canary('plugin-env') }],
  });
  await using cluster = await testCluster(['n1', 'n2'], plugin.user);
  const { store } = cluster.api;
  const pod = podObject('agent', 'n1');
  store.put('pods', { ...pod, spec: { ...pod.spec, initContainers: [{ name: 'install-cni' }] } });
  const template = { spec: { containers: [{ name: 'agent', env: [{ name: 'X', value: canary('workload-env') }] }] } };
  store.put('daemonsets', { metadata: { namespace: 'kube-system', name: 'sluice' }, spec: { template } });
  store.put('leases', { metadata: { name: 'l', annotations: { a: canary('lease') } }, spec: { holderIdentity: 'n1' } });
  cluster.api.fault = ({ path, query }, response) => {
    if (!path.endsWith('/log')) return false;
    const which = `${query.get('container')}${query.get('previous') === 'true' ? '-before' : ''}`;
    response.end(`log of ${which}, ${canary('plugin')}\npassword=${canary(`log-${which}`)}\n`);
    return true;
  };
  // By an agent that takes nothing out, as one of another version might.
  const said = packed({
    'd/node/tables/pods.jsonl': `${JSON.stringify({ row: { annotations: { a: canary('table') } } })}\n`,
    'd/node/maps/x.jsonl': `${JSON.stringify({ value: `Bearer ${canary('map')}` })}\n{"broken": "token: ${canary('broken')}`,
    'd/node/status.json': JSON.stringify({ lastError: canary('plugin'), apiKey: canary('status') }),
    'd/node/status.txt': `Node: n1 --token ${canary('status-text')} ${canary('plugin-env')}\n`,
    'd/node/config.json': JSON.stringify({ values: { password: canary('config') } }),
    'd/node/logs/agent.log': `began {"secret":"${canary('local-log')}"}\n`,
    'd/missing.txt': `node/metrics.json: token=${canary('missing')}\n`,
  });
  serveCommands(cluster.api, async (name, command, out) => {
    if (command[1] === 'status') return 1;
    if (name.endsWith('n1')) out.write(said);
    else out.error(`refused: password=${canary('command')}\n`);
    return name.endsWith('n1') ? 0 : 1;
  });
  const output = join(place.path, 'dump.tar.gz');
  const { err, out, exitCode } = await sluice(['sysdump', '--output', output, '--kubeconfig', cluster.kubeconfig]);
  assert.equal(exitCode, 0, err);
  const files = unpacked(output);
  // What held them is there, or this would prove nothing.
  for (const [path, word] of [
    ['nodes/n1/tables/pods.jsonl', '"annotations"'],
    ['nodes/n1/maps/x.jsonl', '"broken"'],
    ['nodes/n1/status.json', '"apiKey"'],
    ['nodes/n1/status.txt', 'Node: n1'],
    ['nodes/n1/config.json', '"password"'],
    ['nodes/n1/logs/agent.log', 'began'],
    ['nodes/n2/unreachable.txt', 'refused: password='],
    ['cluster/logs/kube-system_sluice-agent-n1.log', 'log of agent, [redacted]'],
    ['cluster/logs/kube-system_sluice-agent-n1.previous.log', 'log of agent-before'],
    ['cluster/logs/kube-system_sluice-agent-n1.install-cni.log', 'log of install-cni'],
    ['cluster/logs/kube-system_sluice-agent-n1.install-cni.previous.log', 'log of install-cni-before'],
    ['cluster/objects/daemonsets.apps.jsonl', '"X"'],
    ['cluster/objects/leases.coordination.k8s.io.jsonl', '"holderIdentity"'],
    ['missing.txt', 'nodes/n1/metrics.json'],
  ] as const)
    assert.ok(files.get(path)?.includes(word), `${path}: ${files.get(path)}`);
  const everything = [gunzipSync(readFileSync(output)).toString('latin1'), err, out].join('\n');
  assert.equal(/c4n4ry[^"\s]*/.exec(everything)?.[0], undefined);
  assert.equal(everything.includes(Buffer.from('c4n4ry-').toString('base64').slice(0, 9)), false);
});
