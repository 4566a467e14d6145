// Needs root and a kernel that Sluice runs on. What takes a measurement in time is in bench/rows/agent-load.ts.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { installationRoot } from '@sluice/runtime';
import { untilReady } from './agents.ts';
import { memoryOf } from './process-cost.ts';
import { testLab } from './test-lab.ts';

const sluice = join(installationRoot(), 'bin/sluice');
const budget = { rssMiB: 110, anonymousMiB: 60, mapsMiB: 24 };

test('agents keep to their memory with the sample workload, also after they were asked for everything', async () => {
  await using lab = testLab();
  await lab.must('up');
  await lab.must('kubectl', 'create', '-f', join(installationRoot(), 'examples/demo'));
  await lab.must('kubectl', 'wait', '--for=condition=Ready', 'pod', '--all', '-A', '--timeout=60s');
  for (const node of ['k8s-cp1', 'k8s-cp2', 'k8s-cp3'].map((name) => lab.layout.node(name))) {
    const pid = await untilReady(node);
    for (const question of ['status', 'service list', 'map list', 'program list'])
      await lab.must('exec', node.name, '--', sluice, ...question.split(' '));
    const { rssMiB, anonymousMiB } = memoryOf(pid);
    assert.ok(rssMiB > 40 && rssMiB <= budget.rssMiB, `${node.name}: ${rssMiB} MiB resident`);
    assert.ok(anonymousMiB > 5 && anonymousMiB <= budget.anonymousMiB, `${node.name}: ${anonymousMiB} MiB anonymous`);
    const maps: { bytes: number }[] = JSON.parse(
      await lab.must('exec', node.name, '--', sluice, 'map', 'list', '-o', 'json'),
    );
    const mapsMiB = maps.reduce((sum, { bytes }) => sum + bytes, 0) / (1 << 20);
    assert.ok(mapsMiB > 1 && mapsMiB <= budget.mapsMiB, `${node.name}: ${mapsMiB} MiB of maps`);
  }
});
