// Needs root and a kernel that Sluice runs on. A build whose maps have other layouts comes and goes under many connections,
// from a pod and from outside. With real load: `npm run bench -- agent-death`.
import assert from 'node:assert/strict';
import { renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { BpfMap } from '@sluice/bpf';
import type { NodeLayout } from '@sluice/lab';
import { installationRoot } from '@sluice/runtime';
import { otherLayouts, otherVersion, seededRandom, temporaryDirectory } from '@sluice/testing';
import { untilAgent, untilReady } from './agents.ts';
import { startCrowd } from './crowds.ts';
import { testLab } from './test-lab.ts';

const nodeNames = ['k8s-cp1', 'k8s-cp2', 'k8s-cp3'];
const NODE = '10.10.30.101';
/** Of each of the two crowds. */
const kept = 1_000;
const rate = 50;
const seed = 1;
/** About as long as a start takes that finds other maps. */
const startMs = 1_000;

/** A folder that is one installation or the other: what starts in it is of that version. */
function switchedFolder(directory: string) {
  const current = join(directory, 'current');
  return {
    current,
    lead(root: string): void {
      symlinkSync(root, `${current}.next`);
      renameSync(`${current}.next`, current);
    },
  };
}

function connectionBytes(node: NodeLayout): number {
  using map = BpfMap.openPinned(join(node.bpffs, 'sluice/maps/conntrack'));
  return map.info.valueSize;
}

test('an upgrade and the way back, killed at any point, under 2,000 connections and new ones: none is lost', async () => {
  const here = installationRoot();
  using other = await otherVersion(here, otherLayouts, { bundles: true });
  for (const part of ['bin', 'pod']) symlinkSync(join(here, 'dist', part), join(other.root, 'dist', part));
  using directory = temporaryDirectory();
  const { current, lead } = switchedFolder(directory.path);
  lead(here);
  await using lab = testLab();
  const nodes = nodeNames.map((name) => lab.layout.node(name));
  const { status, stderr } = await lab.runFrom(current, 'up');
  assert.equal(status, 0, stderr);
  await lab.must('kubectl', 'create', '-f', join(import.meta.dirname, 'never-a-gap.yaml'));
  await lab.must('kubectl', 'wait', '--for=condition=Available', 'deployment/web', '--timeout=60s');
  await lab.must('kubectl', 'wait', '--for=condition=Ready', 'pod/near', '--timeout=30s');
  const web = (await lab.must('kubectl', 'get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}')).trim();
  const crowds = [
    startCrowd(lab, 'near', [web, 80], { kept, rate }),
    startCrowd(lab, 'client', [NODE, 30_080], { kept, rate }),
  ];
  await delay(3_000);
  const random = seededRandom(seed);
  const bytesHere = nodes.map(connectionBytes);
  for (const version of ['other', 'here'] as const) {
    lead(version === 'here' ? here : other.root);
    for (const node of nodes) {
      const killed = await untilAgent(node);
      process.kill(killed, 'SIGKILL');
      // In the middle of its start, and then it starts again.
      const starting = await untilAgent(node, killed);
      await delay(startMs * random());
      process.kill(starting, 'SIGKILL');
      await untilReady(node, starting);
    }
    const bytes = nodes.map(connectionBytes);
    if (version === 'here') assert.deepEqual(bytes, bytesHere);
    else
      assert.ok(
        bytes.every((size, index) => size > (bytesHere[index] ?? 0)),
        `seed ${seed}: ${bytes}`,
      );
  }
  await delay(1_500);
  for (const crowd of crowds) {
    const text = await crowd.end();
    const [, there, asked] = /^kept=(\d+) asked=(\d+) failed=0 new=\d+ failed=0$/m.exec(text) ?? [];
    assert.equal(Number(there), kept, `seed ${seed}: ${crowd.what}\n${text}`);
    assert.ok(Number(asked) > 4 * kept, `${crowd.what}: ${text}`);
  }
});
