import { Command, InvalidArgumentError } from 'commander';
import { type ListedMetric, type ListedSample, metricsAnswer } from '../agent-answers.ts';
import { CommandError } from '../command-error.ts';
import { agentOf, type Context, globalOptions } from '../context.ts';
import { alignTable, show } from '../output.ts';
import { wrongName } from '../wrong-name.ts';

const EXAMPLES = `
Examples:
  sluice metrics list
  sluice metrics list --match drop
  sluice metrics list --match '^cilium_bpf_map_pressure' -o json`;

export function metricsCommand(context: Context): Command {
  return new Command('metrics').description('Show the metrics of this node').addCommand(
    new Command('list')
      .alias('ls')
      .description("List the metrics of this node's agent as they are now; prometheus.enabled serves them on a port")
      .option('--match <pattern>', 'those whose name has this in it: a regular expression', pattern)
      .addHelpText('after', EXAMPLES)
      .action((options: { match?: RegExp }, command: Command) => list(options, command, context)),
  );
}

async function list({ match }: { match?: RegExp }, command: Command, context: Context): Promise<void> {
  const { values, failures } = await agentOf(command, context).get('/metrics', metricsAnswer);
  const chosen = values.filter(({ name }) => match === undefined || match.test(name));
  if (match !== undefined && chosen.length === 0) {
    const names = values.map(({ name }) => name);
    throw wrongName({ what: 'metric like', name: match.source, names, list: 'sluice metrics list' });
  }
  const rows = chosen.flatMap((metric) => metric.samples.map((sample) => shownSample(metric, sample)));
  show(context, globalOptions(command, context).output, {
    data: rows,
    text: () =>
      alignTable({
        columns: ['METRIC', 'LABELS', 'VALUE'],
        rows: rows.map(({ name, labels, value, sum, count }) => [
          name,
          labelsText(labels),
          value === undefined ? `${count} times, ${average(sum, count)} on average` : valueText(value),
        ]),
      }),
  });
  const failing = failures.filter(({ name }) => match === undefined || match.test(name));
  if (failing.length === 0) return;
  throw new CommandError(
    `metrics without a value: ${failing.map(({ name, error }) => `${name}: ${error}`).join('; ')}`,
  );
}

function shownSample({ name, type, labels: names }: ListedMetric, { labels, ...values }: ListedSample) {
  const named = Object.fromEntries(names.map((label, index) => [label, labels[index] ?? '']));
  return { name, type, labels: named, ...values };
}

function labelsText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${/[\s,="]/.test(value) ? JSON.stringify(value) : value}`)
    .join(' ');
}

function average(sum: unknown, count: unknown): string {
  return count === 0 ? '-' : rounded(Number(sum) / Number(count));
}

/** -o json has all digits. */
function valueText(value: unknown): string {
  if (value === null) return 'NaN';
  return typeof value === 'number' && !Number.isInteger(value) ? rounded(value) : String(value);
}

const rounded = (value: number): string => String(Number(value.toPrecision(6)));

function pattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}
