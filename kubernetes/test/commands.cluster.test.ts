// What an operator types, from a workstation and on a node. Run by `npm run test:kubernetes`.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { must, nodeNames, onNetworkOfControlPlane, root, run, runFolder } from '../cluster.ts';

const kubeconfig = join(runFolder, 'pki/admin.kubeconfig');

/** `sluice ARGUMENTS` where no agent runs; only the API server is to be reached. */
function fromOutside(...args: readonly string[]): readonly [string, readonly string[]] {
  const [program = '', ...words] = onNetworkOfControlPlane();
  return [program, [...words, process.execPath, join(root, 'dist/sluice.js'), ...args, '--kubeconfig', kubeconfig]];
}

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
