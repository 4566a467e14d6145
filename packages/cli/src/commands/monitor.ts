import type { MonitorDrop, MonitorEvent, MonitorTrace } from '@sluice/agent';
import { Command, InvalidArgumentError, Option } from 'commander';
import { eventsAnswer, type MonitorLine, monitorLine } from '../agent-answers.ts';
import { agentOf, type Context, globalOptions, type OutputFormat } from '../context.ts';
import { wholeNumber } from '../number-option.ts';
import { counted, jsonText, printable, tell, yamlText } from '../output.ts';
import { addTrafficOptions, collect, pathWithQuery, type TrafficOptions, trafficQuery } from '../traffic-options.ts';
import { endText, translationTexts } from '../traffic-text.ts';

interface Options extends TrafficOptions {
  readonly type: string;
  readonly reason?: readonly string[];
  readonly last?: number;
  readonly since?: number;
  readonly follow?: boolean;
  readonly count?: number;
}

const EXAMPLES = `
Examples:
  sluice monitor --type drop
  sluice monitor --type trace --from-pod shop/web
  sluice monitor --pod gitlab/web --reason backend
  sluice monitor --namespace shop --protocol tcp --port 80 -o json --count 1
  sluice monitor --since 5m              # what has been, then it ends
  sluice monitor --last 20 --follow -o wide   # with addresses, the program that saw it, and the size`;

export function monitorCommand(context: Context): Command {
  const command = new Command('monitor')
    .description('Follow what the programs report, as it happens; or show the last of it')
    .addOption(
      new Option('--type <type>', 'drop: dropped packets; trace: connections whose state changes; all: both')
        .choices(['drop', 'trace', 'all'])
        .default('drop'),
    )
    .option('--reason <text>', 'only drops with this in the reason, such as no_backend; any of several', collect)
    .option(
      '--last <n>',
      'the last so many events of those that the agent keeps (1000 of each type), and end',
      wholeNumber(1),
    )
    .option('--since <duration>', 'the kept events of the last 30s, 5m or 2h, and end', duration)
    .option('-f, --follow', 'with --last or --since: go on with what comes')
    .option('--count <n>', 'end after so many events', wholeNumber(1));
  return addTrafficOptions(command)
    .addHelpText('after', EXAMPLES)
    .action((options: Options, self: Command) => monitor(options, self, context));
}

const LISTENING: Readonly<Record<string, string>> = {
  drop: 'drops',
  trace: 'changes of connections',
  all: 'drops and changes of connections',
};

async function monitor(options: Options, command: Command, context: Context): Promise<void> {
  const { output } = globalOptions(command, context);
  const isPast = (options.last !== undefined || options.since !== undefined) && !options.follow;
  const agent = agentOf(command, context);
  const query = queryOf(options);
  if (isPast) {
    const events = await agent.get(pathWithQuery('/events', query), eventsAnswer);
    for (const event of events.slice(0, options.count)) context.out.write(shown(event, output));
    return;
  }
  const isForPeople = output === 'table' || output === 'wide';
  const onOpen = (): void => {
    if (isForPeople) tell(context, `Listening for ${LISTENING[options.type] ?? options.type}; end with Ctrl-C.`);
  };
  let left = options.count ?? Infinity;
  try {
    for await (const line of agent.stream(pathWithQuery('/monitor', query), monitorLine, { onOpen })) {
      context.out.write(shown(line, output));
      if (line.type !== 'lost') left -= 1;
      if (left <= 0) break;
    }
  } catch (error) {
    if (!context.signal.aborted) throw error;
  }
}

function queryOf(options: Options): [name: string, value: string][] {
  const since = options.since === undefined ? undefined : Date.now() - options.since;
  return [
    ...(options.type === 'all' ? ['drop', 'trace'] : [options.type]).map((type): [string, string] => ['type', type]),
    ...(options.reason ?? []).map((reason): [string, string] => ['reason', reason]),
    ...(options.last === undefined ? [] : [['last', String(options.last)] as [string, string]]),
    ...(since === undefined ? [] : [['since', String(since)] as [string, string]]),
    ...trafficQuery(options),
  ];
}

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of `90s`, `5m`, `2h` or `1d`. */
function duration(text: string): number {
  const [, number, unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  if (number === undefined) throw new InvalidArgumentError('a number and a unit, such as 30s, 5m, 2h or 1d');
  return Number(number) * (UNITS[unit] ?? 0);
}

/** Each event is whole by itself, so that a reader need not wait for the end: a line of JSON, a document of YAML. */
function shown(line: MonitorLine, format: OutputFormat): string {
  if (format === 'json') return `${jsonText(line)}\n`;
  if (format === 'yaml') return `---\n${yamlText(line)}`;
  const details = format === 'wide' ? detailsOf(line) : undefined;
  return printable(`${textOf(line)}${details === undefined ? '' : `\n${INDENT}${details}`}\n`);
}

function textOf(line: MonitorLine): string {
  switch (line.type) {
    case 'drop':
      return dropText(line);
    case 'trace':
      return traceText(line);
    case 'lost':
      return `${counted(line.count, 'event')} left out: more came than could be shown`;
    default:
      return line satisfies never;
  }
}

/** Below the reason. */
const INDENT = ' '.repeat(13);

/** What names and short times leave out: `at 2026-11-26, TCP 10.244.0.5:40000 -> 10.96.0.1:80, seen by from_pod, 74 bytes`. */
function detailsOf(line: MonitorLine): string | undefined {
  if (line.type === 'lost') return undefined;
  const ends = [
    endText({ name: '', address: line.sourceAddress, port: line.sourcePort }),
    endText({ name: '', address: line.destinationAddress, port: line.destinationPort }),
  ];
  return [
    `on ${new Date(line.at).toISOString().slice(0, 10)}`,
    `${line.protocol} ${ends.join(' -> ')}`.trim(),
    `${line.direction === 'kernel' ? 'in' : 'seen by'} ${line.tracePoint}`,
    ...(line.type === 'drop' ? [`${line.length} bytes`] : []),
  ].join(', ');
}

/** `12:01:02.345 xx drop (No backend) gitlab/web-0 -> service shop/db, …: IP 10.244.0.5.40000 > …`, and the hint. */
function dropText(event: MonitorDrop): string {
  const names = [event.source, event.destination].map((name) => (name === '' ? 'unknown' : name)).join(' -> ');
  const where =
    event.direction === 'kernel' ? `kernel function ${event.tracePoint}` : `${event.direction}, ${identities(event)}`;
  const device = event.interface === '' ? '' : `${event.interface} `;
  return `${timeOf(event)} xx drop (${event.reason}) ${names}, ${device}${where}: ${event.packet}\n${INDENT}${event.hint}`;
}

/** `12:01:02.345 -> trace (established) TCP gitlab/web-0:40000 -> shop/db-0:5432 for service shop/db:5432, …`. */
function traceText(event: MonitorTrace): string {
  const [source, destination] = [
    endText({ name: event.source, address: event.sourceAddress, port: event.sourcePort }),
    endText({ name: event.destination, address: event.destinationAddress, port: event.destinationPort }),
  ];
  const translations = translationTexts(event, endText).map((text) => ` ${text}`);
  const counts = `${event.packets.sent}/${event.packets.replied} packets, ${event.bytes.sent}/${event.bytes.replied} bytes`;
  const where = `${event.interface} ${event.direction}, ${identities(event)}`;
  return `${timeOf(event)} -> trace (${event.state}) ${event.protocol} ${source} -> ${destination}${translations.join('')}, ${where}: ${counts}`;
}

const timeOf = ({ at }: MonitorEvent): string => new Date(at).toISOString().slice(11, 23);
const identities = ({ sourceIdentity, destinationIdentity }: MonitorEvent): string =>
  `identity ${sourceIdentity}->${destinationIdentity}`;
