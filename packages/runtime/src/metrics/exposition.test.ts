import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expositionFor, openMetricsText, prometheusText } from './exposition.ts';
import { gather } from './gather.ts';
import { counter, gauge, histogram } from './metric.ts';
import { Distribution, Tally } from './tally.ts';

const packets = counter('x_drop_count_total', 'Dropped\npackets, by \\ and "reason".', ['reason', 'direction'], () => [
  ['a "quoted" \\ text\nof two lines', 'INGRESS', 3],
  ['plain', 'EGRESS', 9_007_199_254_740_993n],
]);

test('the text format escapes help and label values as Prometheus reads them, and keeps large counters exact', async () => {
  const { values } = await gather([packets, gauge('x_up', 'Up.', [], () => [[1]])], undefined);
  assert.equal(
    prometheusText.write(values),
    [
      '# HELP x_drop_count_total Dropped\\npackets, by \\\\ and "reason".',
      '# TYPE x_drop_count_total counter',
      'x_drop_count_total{reason="a \\"quoted\\" \\\\ text\\nof two lines",direction="INGRESS"} 3',
      'x_drop_count_total{reason="plain",direction="EGRESS"} 9007199254740993',
      '# HELP x_up Up.',
      '# TYPE x_up gauge',
      'x_up 1',
      '',
    ].join('\n'),
  );
});

test('OpenMetrics names a counter without its suffix and ends with EOF', async () => {
  const runs = counter('x_runs', 'A counter without the suffix.', [], () => [[Number.NaN]]);
  const { values } = await gather([packets, runs], undefined);
  const lines = openMetricsText.write(values.map((metric) => ({ ...metric, help: 'Help "it".' }))).split('\n');
  assert.deepEqual(
    lines.filter((line) => line.startsWith('#')),
    [
      '# TYPE x_drop_count counter',
      '# HELP x_drop_count Help \\"it\\".',
      '# TYPE x_runs unknown',
      '# HELP x_runs Help \\"it\\".',
      '# EOF',
    ],
  );
  assert.ok(lines.includes('x_runs NaN'));
  assert.ok(lines.includes('x_drop_count_total{reason="plain",direction="EGRESS"} 9007199254740993'));
});

test('a histogram has cumulative buckets, the infinite one, sum and count', async () => {
  const seconds = new Distribution([0.5, 1]);
  for (const value of [0.25, 0.5, 0.75, 4]) seconds.observe(['ADD'], value);
  const metric = histogram('x_seconds', 'How long.', ['command'], () => seconds.samples());
  const { values } = await gather([metric], undefined);
  const text = (bound: string) =>
    [
      `x_seconds_bucket{command="ADD",le="0.5"} 2`,
      `x_seconds_bucket{command="ADD",le="${bound}"} 3`,
      'x_seconds_bucket{command="ADD",le="+Inf"} 4',
      'x_seconds_sum{command="ADD"} 5.5',
      'x_seconds_count{command="ADD"} 4',
      '',
    ].join('\n');
  assert.equal(prometheusText.write(values), `# HELP x_seconds How long.\n# TYPE x_seconds histogram\n${text('1')}`);
  assert.equal(
    openMetricsText.write(values),
    `# TYPE x_seconds histogram\n# HELP x_seconds How long.\n${text('1.0')}# EOF\n`,
  );
});

test('a metric without a value is not mentioned, one that fails is named, and the others stand', async () => {
  const none = gauge('x_none', 'None.', [], () => []);
  const broken = gauge('x_broken', 'Broken.', [], () => {
    throw new Error('map is gone');
  });
  const { values, failures } = await gather([none, broken, packets], undefined);
  assert.deepEqual(failures, [{ name: 'x_broken', error: 'map is gone' }]);
  assert.doesNotMatch(prometheusText.write(values), /x_none|x_broken/);
  assert.match(prometheusText.write(values), /x_drop_count_total/);
});

test('only who prefers OpenMetrics gets it', () => {
  const preferring = 'application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1';
  assert.equal(expositionFor(preferring), openMetricsText);
  assert.equal(expositionFor('application/openmetrics-text;q=0.2, text/plain'), prometheusText);
  assert.equal(expositionFor('application/openmetrics-text;q=0'), prometheusText);
  for (const accept of [undefined, '', '*/*', 'text/html']) assert.equal(expositionFor(accept), prometheusText);
});

test('series beyond the limit are counted together, none is lost', () => {
  const tally = new Tally();
  for (let number = 0; number < 1_010; number += 1) tally.add([`value-${number}`]);
  const samples = [...tally.samples()];
  assert.equal(
    samples.reduce((sum, { value }) => sum + Number(value), 0),
    1_010,
  );
  assert.equal(samples.length, 1_001);
  assert.deepEqual(samples.at(-1), { labels: ['more'], value: 10 });
});
