import type { MonitorEvent } from '@sluice/agent';
import { Command, Option } from 'commander';
import { stringify } from 'yaml';
import { type MonitorLine, monitorLine } from '../agent-answers.ts';
import { agentOf, type Context, globalOptions, type OutputFormat } from '../context.ts';
import { wholeNumber } from '../number-option.ts';
import { counted } from '../output.ts';

interface Options {
  readonly type: string;
  readonly count?: number;
}

export function monitorCommand(context: Context): Command {
  return new Command('monitor')
    .description('Follow what the programs report, as it happens')
    .addOption(new Option('--type <type>', 'kind of event').choices(['drop']).default('drop'))
    .option('--count <n>', 'end after so many events', wholeNumber(1))
    .addHelpText('after', '\nExamples:\n  sluice monitor --type drop\n  sluice monitor --type drop -o json --count 1')
    .action((options: Options, command: Command) => monitor(options, command, context));
}

async function monitor({ type, count = Infinity }: Options, command: Command, context: Context): Promise<void> {
  const { output } = globalOptions(command, context);
  const forPeople = output === 'table' || output === 'wide';
  if (forPeople) context.err.write('Listening for drops; end with Ctrl-C.\n');
  let seen = 0;
  try {
    for await (const line of agentOf(command, context).stream(`/monitor?type=${type}`, monitorLine)) {
      context.out.write(shown(line, output));
      if (line.type !== 'lost') seen += 1;
      if (seen >= count) break;
    }
  } catch (error) {
    if (!context.signal.aborted) throw error;
  }
}

/** Each event is whole by itself, so that a reader need not wait for the end: a line of JSON, a document of YAML. */
function shown(line: MonitorLine, format: OutputFormat): string {
  if (format === 'json') return `${JSON.stringify(line)}\n`;
  if (format === 'yaml') return `---\n${stringify(line)}`;
  return `${textOf(line)}\n`;
}

function textOf(line: MonitorLine): string {
  return line.type === 'lost'
    ? `${counted(line.count, 'event')} left out: more came than could be shown`
    : eventLine(line);
}

/** `12:01:02.345 xx drop (No backend) gitlab/web-0 -> 10.96.3.4:80 tcp SYN, …: hint`. */
function eventLine(event: MonitorEvent): string {
  const at = new Date(event.at).toISOString().slice(11, 23);
  const names = [event.source, event.destination].map((name) => (name === '' ? 'unknown' : name)).join(' -> ');
  const where =
    event.direction === 'kernel'
      ? `kernel function ${event.tracePoint}`
      : `${event.direction}, identity ${event.sourceIdentity}->${event.destinationIdentity}`;
  return `${at} xx drop (${event.reason}) ${names}, ${event.interface} ${where}: ${event.packet}\n             ${event.hint}`;
}
