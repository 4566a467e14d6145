import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agent, sluice } from '../test-agent.ts';

const drops = {
  name: 'cilium_drop_count_total',
  type: 'counter',
  help: 'Drops.',
  labels: ['reason', 'direction'],
  samples: [{ labels: ['no backend', 'EGRESS'], value: 3 }],
};
const delay = {
  name: 'sluice_delay',
  type: 'histogram',
  help: 'Delay.',
  labels: [],
  samples: [{ labels: [], buckets: [[1, 4]], sum: 0.5, count: 4 }],
};

async function metrics(failures: readonly object[], ...args: readonly string[]) {
  using server = await agent({ '/metrics': { values: [drops, delay], failures } });
  return await sluice(['metrics', 'list', ...args, '--socket', server.socket]);
}

test('metrics are shown with labels and values, a histogram by how often and how much', async () => {
  const { out } = await metrics([]);
  assert.deepEqual(
    out.split('\n').map((line) => line.replaceAll(/ {3,}/g, ' | ')),
    [
      'METRIC | LABELS | VALUE',
      'cilium_drop_count_total | reason="no backend" direction=EGRESS | 3',
      'sluice_delay | 4 times, 0.125 on average',
      '',
    ],
  );
  const json = JSON.parse((await metrics([], '--match', 'drop', '-o', 'json')).out);
  const labels = { reason: 'no backend', direction: 'EGRESS' };
  assert.deepEqual(json, [{ name: 'cilium_drop_count_total', type: 'counter', labels, value: 3 }]);
});

test('a pattern that meets nothing, or is none, is told', async () => {
  const none = await metrics([], '--match', 'sluice_delai');
  assert.equal(none.exitCode, 2);
  assert.match(none.err, /no metric like sluice_delai; did you mean sluice_delay\?/);
  assert.match((await metrics([], '--match', '(')).err, /Invalid regular expression/);
});

test('what could not be read is named, beside all that could', async () => {
  const { out, err, exitCode } = await metrics([{ name: 'sluice_broken', error: 'map is gone' }]);
  assert.match(out, /cilium_drop_count_total/);
  assert.match(err, /metrics without a value: sluice_broken: map is gone/);
  assert.notEqual(exitCode, 0);
});
