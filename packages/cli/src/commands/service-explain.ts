import type {
  ServiceEndpointReport,
  ServiceExplainReport,
  ServicePlaceBackend,
  ServicePlaceReport,
} from '@sluice/agent';
import { Command } from 'commander';
import { serviceExplainAnswer } from '../agent-answers.ts';
import { CommandError } from '../command-error.ts';
import { agentOf, type Context, globalOptions, type OutputFormat } from '../context.ts';
import { alignPairs, alignTable, show } from '../output.ts';
import { pathWithQuery } from '../traffic-options.ts';

const TEXT = `
CLIENT is a pod of this node (namespace/name, a name, or as much of its beginning as only one has), host for the processes of
this node, another node's name, outside, or outside:ADDRESS, which source ranges and Maglev tables are asked for. Without
it there is a line for each kind of client: a pod here, this node, and anybody outside.

The programs of this node are asked which row a client of that kind has and what he gets there, and the backends are those
of the kernel; nothing is sent or changed. Why an endpoint is none of them stands below. The exit status is 1 when nobody is
served.

Examples:
  sluice service explain shop/web
  sluice service explain shop/web --from outside
  sluice service explain shop/web --port http --from outside:198.51.100.7
  sluice service explain shop/web --from shop/client -o json`;

interface Options {
  readonly port?: string;
  readonly from?: string;
}

export function serviceExplainCommand(context: Context): Command {
  return new Command('explain')
    .description('Which backends clients of a service get at each of its addresses, and why')
    .argument('<namespace/name>', 'the Service; a name alone where only one namespace has it')
    .option('--port <name|number>', 'one of its ports')
    .option('--from <client>', 'step by step for this client: POD, host, NODE, outside or outside:ADDRESS')
    .addHelpText('after', TEXT)
    .action(async (service: string, { port, from }: Options, command: Command) => {
      const path = pathWithQuery('/explain/service', [
        ['service', service],
        ...(port === undefined ? [] : [['port', port] as const]),
        ...(from === undefined ? [] : [['from', from] as const]),
      ]);
      const report = await agentOf(command, context).get(path, serviceExplainAnswer);
      const { output } = globalOptions(command, context);
      show(context, output, { data: report, text: () => serviceText(report, output) });
      if (!report.isServed) throw new CommandError(`nobody is served: ${whyNobody(report)}`, { exitCode: 1 });
    });
}

/** What stands in the way where somebody would be served, before what is for others, before what he cannot ask. */
function whyNobody({ why, places, unserved, service }: ServiceExplainReport): string {
  const verdicts: ServicePlaceReport['verdict'][] = ['dropped', 'refused', 'not served', 'not asked'];
  const [first] = verdicts.flatMap((verdict) => places.find((place) => place.verdict === verdict) ?? []);
  return why ?? first?.summary ?? unserved[0]?.reason ?? `${service} has no frontend (yet)`;
}

export function serviceText(report: ServiceExplainReport, format: OutputFormat): string {
  const { service, node, zone, from, about, why, places, unserved, endpoints } = report;
  const head = `service ${service} ${from === undefined ? '' : `for ${from} `}on ${node}${zone ? ` (zone ${zone})` : ''}`;
  return `${[
    head,
    alignPairs(about.map(({ step, text }) => [step, text])),
    ...(why === undefined ? [] : [`not served: ${why}`]),
    ...(from === undefined ? placesText(places, format) : places.map(placeText)),
    ...unservedText(unserved),
    // Where nothing is served, of a headless service as well, nobody has looked for endpoints.
    ...(places.length > 0 ? endpointsText(endpoints, format) : []),
  ]
    .map((part) => part.trimEnd())
    .join('\n\n')}\n`;
}

const BACKENDS_SHOWN = 2;

/** A line for each place and kind of client. */
function placesText(places: readonly ServicePlaceReport[], format: OutputFormat): string[] {
  if (places.length === 0) return [];
  const rows = places.map(({ frontend, type, client, verdict, summary, backends }) => {
    const what = verdict === 'served' ? firstOf(backends, format === 'wide' ? Infinity : BACKENDS_SHOWN) : summary;
    return [frontend, type, client, verdict, what];
  });
  return [alignTable({ columns: ['FRONTEND', 'TYPE', 'CLIENT', 'VERDICT', 'BACKENDS OR REASON'], rows })];
}

/** Step by step, and its backends. */
function placeText(place: ServicePlaceReport): string {
  const { frontend, type, portName, steps, verdict, summary, backends } = place;
  const lines: [string, string][] = [
    ...steps.map(({ step, text }): [string, string] => [step, text]),
    [verdict, summary],
  ];
  const rows = backends.map((each): [string, string] => ['', backendText(each)]);
  return `${frontend} (${type}${portName === '' ? '' : `, port ${portName}`})\n${indented(alignPairs([...lines, ...rows]))}`;
}

const indented = (text: string): string => text.replace(/^(?=.)/gm, '  ');

function firstOf(backends: readonly ServicePlaceBackend[], shown: number): string {
  const more = backends.length - shown;
  return `${backends.slice(0, shown).map(backendText).join(', ')}${more > 0 ? ` +${more} more` : ''}`;
}

function backendText({ backend, pod, node, zone, state }: ServicePlaceBackend): string {
  const where = [pod, node && `on ${node}`, zone && `zone ${zone}`, state === 'active' ? '' : state].filter(Boolean);
  return where.length === 0 ? backend : `${backend} (${where.join(', ')})`;
}

function unservedText(unserved: ServiceExplainReport['unserved']): string[] {
  if (unserved.length === 0) return [];
  const rows = unserved.map(({ key, type, reason }) => [key, type, reason]);
  return [alignTable({ columns: ['NOT SERVED', 'TYPE', 'REASON'], rows })];
}

function endpointsText(endpoints: readonly ServiceEndpointReport[], format: OutputFormat): string[] {
  if (endpoints.length === 0)
    return ['endpoints: none; no pod has the labels that the service selects, or none offers the port'];
  const rows = endpoints.map(({ endpoint, pod, node, zone, state, hints, unused }) => [
    ...[endpoint, pod ?? '', node ?? '', zone ?? '', state],
    ...[hints.join(', '), whyText(unused, format === 'wide' ? Infinity : FRONTENDS_SHOWN)],
  ]);
  return [alignTable({ columns: ['ENDPOINT', 'POD', 'NODE', 'ZONE', 'STATE', 'HINTS', 'NOT USED'], rows })];
}

const FRONTENDS_SHOWN = 1;

/** What holds everywhere is said once. */
function whyText(unused: ServiceEndpointReport['unused'], shown: number): string {
  const frontends = Map.groupBy(unused, ({ why }) => why);
  return [...frontends]
    .map(([why, at]) => {
      const names = at.slice(0, shown).map(({ frontend }) => frontend);
      const more = at.length > shown ? ` +${at.length - shown} more` : '';
      return why === 'not ready' ? why : `${why} (${names.join(', ')}${more})`;
    })
    .join('; ');
}
