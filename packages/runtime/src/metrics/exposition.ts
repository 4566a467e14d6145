import type { HistogramSample, MetricValues } from './metric.ts';

/** How metrics are written: Prometheus' text format, or OpenMetrics 1.0 for those that ask for it. */
export interface Exposition {
  readonly contentType: string;
  readonly write: (values: readonly MetricValues[]) => string;
}

export const prometheusText: Exposition = {
  contentType: 'text/plain; version=0.0.4; charset=utf-8',
  write: (values) => written(values).map(family).join(''),
};

export const openMetricsText: Exposition = {
  contentType: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
  write: (values) => `${written(values).map(openFamily).join('')}# EOF\n`,
};

/** By the header `Accept` of the request; whoever does not name OpenMetrics gets the older format. */
export function expositionFor(accept: string | undefined): Exposition {
  const ranges = (accept ?? '').split(',').map(parseRange);
  const weightOf = (...types: readonly string[]) =>
    Math.max(0, ...ranges.filter(({ type }) => types.includes(type)).map(({ weight }) => weight));
  const open = weightOf('application/openmetrics-text');
  return open > 0 && open >= weightOf('text/plain', 'text/*', '*/*') ? openMetricsText : prometheusText;
}

/** RFC 9110 section 12.4.2: `text/plain;version=0.0.4;q=0.5`. */
function parseRange(text: string): { type: string; weight: number } {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
  return { type, weight: weight === undefined ? 1 : Number(weight) || 0 };
}

/** A metric without a value now is left out: its name alone says nothing. */
const written = (values: readonly MetricValues[]) => values.filter(({ samples }) => samples.length > 0);

function family(metric: MetricValues): string {
  const head = `# HELP ${metric.name} ${escapeHelp(metric.help)}\n# TYPE ${metric.name} ${metric.type}\n`;
  return head + lines(metric, String);
}

// OpenMetrics names a counter without its suffix, and knows none that lacks it.
function openFamily(metric: MetricValues): string {
  const suffix = '_total';
  const isPlain = metric.type === 'counter' && !metric.name.endsWith(suffix);
  const name = metric.type === 'counter' && !isPlain ? metric.name.slice(0, -suffix.length) : metric.name;
  const type = isPlain ? 'unknown' : metric.type;
  return `# TYPE ${name} ${type}\n# HELP ${name} ${escapeLabel(metric.help)}\n${lines(metric, canonicalBound)}`;
}

// "1.0", not "1": two writings of one bound would be two series.
const canonicalBound = (bound: number): string => (Number.isInteger(bound) ? bound.toFixed(1) : String(bound));

function lines(metric: MetricValues, boundText: (bound: number) => string): string {
  if (metric.type === 'histogram') {
    return metric.samples.map((sample) => histogramLines(metric, sample, boundText)).join('');
  }
  return metric.samples
    .map(({ labels, value }) => `${metric.name}${labelText(metric.labels, labels)} ${valueText(value)}\n`)
    .join('');
}

function histogramLines(
  { name, labels: names }: Pick<MetricValues, 'name' | 'labels'>,
  { labels, buckets, sum, count }: HistogramSample,
  boundText: (bound: number) => string,
): string {
  const bucket = (bound: string, below: number) =>
    `${name}_bucket${labelText([...names, 'le'], [...labels, bound])} ${below}\n`;
  const own = labelText(names, labels);
  return [
    ...buckets.map(([bound, below]) => bucket(boundText(bound), below)),
    bucket('+Inf', count),
    `${name}_sum${own} ${valueText(sum)}\n`,
    `${name}_count${own} ${count}\n`,
  ].join('');
}

export function labelText(names: readonly string[], values: readonly string[]): string {
  if (names.length === 0) return '';
  return `{${names.map((name, index) => `${name}="${escapeLabel(values[index] ?? '')}"`).join(',')}}`;
}

function valueText(value: number | bigint): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  return String(value);
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}
