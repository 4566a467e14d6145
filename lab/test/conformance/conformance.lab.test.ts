// Needs root and a kernel that Sluice runs on. Kubernetes' own cases of services, written anew, in every mode in which they
// could differ; docs/conformance-lab.md lists them. One lab for each hook: the other modes are annotations of Services in it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { testLab } from '../test-lab.ts';
import { conformanceCases } from './cases.ts';
import { furnish, openCluster } from './cluster.ts';
import { combinations, hooks, hookValues, modesAt } from './upstream-case.ts';

for (const hook of hooks) {
  describe(`at ${hook.toUpperCase()}`, () => {
    const lab = testLab();
    const directory = mkdtempSync(join(tmpdir(), 'conformance-'));
    const cluster = openCluster(lab, directory);
    before(async () => {
      const values = join(directory, 'values.yaml');
      // Services that do not say are hybrid; the others say what they are.
      writeFileSync(values, `loadBalancer:\n  mode: hybrid\n${hookValues[hook].values}`);
      await lab.must('up', '--values', values);
      await furnish(cluster);
    });
    after(async () => {
      rmSync(directory, { recursive: true });
      await lab[Symbol.asyncDispose]();
    });

    for (const { sentence, modes, run } of conformanceCases) {
      const here = combinations(modesAt(hook, modes));
      if (here.length > 0) test(sentence, () => run(cluster, here));
    }
  });
}
