// What an operator types, from a workstation and on a node. Run by `npm run test:kubernetes`.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fromOutside, must, nodeNames, root, run } from '../cluster.ts';

interface Node {
  readonly node: string;
  readonly problems: readonly string[];
  readonly report: { readonly node: string } | undefined;
}

test('sluice status asks every agent through the API server', async () => {
  const text = await must(...fromOutside('status', '--wait', '--timeout', '120', '-o', 'json'));
  const { nodes, operators } = JSON.parse(text) as { nodes: readonly Node[]; operators: readonly object[] };
  assert.deepEqual(
    nodes.map(({ node, problems, report }) => [node, problems, report?.node]),
    nodeNames.map((node) => [node, [], node]),
  );
  assert.ok(operators.length > 0);
});

test('sluice version finds all in step', async () => {
  const { outOfStep, cluster } = JSON.parse(await must(...fromOutside('version', '-o', 'json'))) as {
    readonly outOfStep: readonly string[];
    readonly cluster: { readonly pods: readonly { readonly program: string; readonly node: string }[] };
  };
  assert.deepEqual(outOfStep, []);
  const agents = cluster.pods.filter(({ program }) => program === 'agent').map(({ node }) => node);
  assert.deepEqual(agents, [...nodeNames]);
});

test('sluice cleanup is refused on a node whose agent runs', async () => {
  const [program, args] = [join(root, 'kubernetes/on'), ['n1', process.execPath, join(root, 'dist/sluice.js')]];
  const { status, stderr } = await run(program, [...args, 'cleanup', '--dry-run']);
  assert.equal(status, 1);
  assert.match(stderr, /nothing was removed: an agent runs on this node/);
});

test('sluice sysdump has of every agent status, tables, maps and log, and the objects of the network', async () => {
  const folder = mkdtempSync(join(tmpdir(), `sluice-test-${process.pid}-`));
  const output = join(folder, 'dump.tar.gz');
  try {
    await must(...fromOutside('sysdump', '--output', output));
    const paths = (await must('tar', ['-tzf', output])).split('\n').map((path) => path.slice(path.indexOf('/') + 1));
    const logs = paths.filter((path) => /^cluster\/logs\/kube-system_sluice-[a-z0-9]{5}\.log$/.test(path));
    assert.equal(logs.length, nodeNames.length);
    for (const plural of ['nodes', 'services', 'endpointslices.discovery.k8s.io', 'ciliumidentities.cilium.io'])
      assert.ok(paths.includes(`cluster/objects/${plural}.jsonl`), plural);
    const text = await must('tar', ['-xzf', output, '--to-stdout', '--wildcards', '*/cluster/status.txt']);
    for (const node of nodeNames) {
      assert.match(text, new RegExp(`^${node} +Ok `, 'm'));
      for (const name of [
        'status.json',
        'metrics.json',
        'tables/frontends.jsonl',
        'maps/frontends.jsonl',
        'network.json',
      ])
        assert.ok(paths.includes(`nodes/${node}/${name}`), `${node} ${name}`);
    }
    assert.ok(!paths.some((path) => /^nodes\/[^/]+\/(unreachable|incomplete)\.txt$/.test(path)));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
