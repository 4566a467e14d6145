// Pods that come and go by the thousand. Run by `npm run test:kubernetes`.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apply, eventually, kubectlJson } from '../cluster.ts';
import { nothingIsLeft } from './tables.ts';
import { image, testNamespace } from './workload.ts';

const [jobs, podsOfEach, atOnce] = [10, 100, 6] as const;

test(`Jobs churn ${jobs * podsOfEach} pods, each of which asks the name server and the API server; nothing is left`, async () => {
  {
    await using namespace = await testNamespace('story-jobs');
    for (let index = 0; index < jobs; index += 1) await apply(JSON.stringify(job(namespace.name, `churn-${index}`)));
    await eventually(800, async () => {
      const { items } = await kubectlJson<{ items: { status: { succeeded?: number; failed?: number } }[] }>(
        '--namespace',
        namespace.name,
        'get',
        'jobs',
      );
      const count = (of: (status: { succeeded?: number; failed?: number }) => number | undefined) =>
        items.reduce((sum, { status }) => sum + (of(status) ?? 0), 0);
      assert.equal(
        count(({ failed }) => failed),
        0,
        'pods that failed',
      );
      assert.equal(
        count(({ succeeded }) => succeeded),
        jobs * podsOfEach,
        'pods that succeeded',
      );
    });
  }
  await nothingIsLeft(120);
});

function job(namespace: string, name: string) {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, namespace },
    spec: {
      completions: podsOfEach,
      parallelism: atOnce,
      backoffLimit: 0,
      template: {
        spec: {
          restartPolicy: 'Never',
          containers: [
            {
              name: 'ask',
              image,
              command: [
                'sh',
                '-c',
                'curl -sSk -m 30 -o /dev/null https://kubernetes.default.svc.cluster.local/version',
              ],
            },
          ],
        },
      },
    },
  };
}
