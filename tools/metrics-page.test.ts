import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentMetrics } from '../packages/agent/src/metrics/agent-metrics.ts';
import { operatorMetrics } from '../packages/operator/src/metrics/operator-metrics.ts';

test('names and labels are such as Prometheus takes, and each is there once', () => {
  for (const metrics of [agentMetrics, operatorMetrics]) {
    const names = metrics.map(({ name }) => name);
    assert.deepEqual(names.toSorted(), [...new Set(names)].toSorted());
    for (const { name, type, labels, help } of metrics) {
      assert.match(name, /^(cilium|sluice|nodejs)_[a-z0-9_]+$/);
      assert.equal(type === 'counter', name.endsWith('_total'), `${name}: a counter, and no other, ends with _total`);
      for (const label of labels) assert.match(label, /^[a-z][a-z0-9_]*$/);
      assert.ok(!labels.includes('le'), `${name}: le is the label of buckets`);
      assert.match(help, /\.$/, `${name}: a sentence`);
    }
  }
});
