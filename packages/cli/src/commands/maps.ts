import type { MapRow, MapUsage } from '@sluice/agent';
import { Field } from '@sluice/kube';
import { Command } from 'commander';
import { mapLine, mapsAnswer } from '../agent-answers.ts';
import type { AgentClient } from '../agent-client.ts';
import { agentOf, type Context, globalOptions } from '../context.ts';
import { wholeNumber } from '../number-option.ts';
import { alignTable, counted, formatBytes, show, type TextTable, tell } from '../output.ts';
import { pathWithQuery } from '../traffic-options.ts';
import { wrongName } from '../wrong-name.ts';

export function mapCommand(context: Context): Command {
  return new Command('map')
    .description('Show the BPF maps of this node')
    .addCommand(listCommand(context))
    .addCommand(dumpCommand(context));
}

function listCommand(context: Context): Command {
  return new Command('list')
    .alias('ls')
    .description('List the BPF maps with their fill, as the kernel has them')
    .addHelpText('after', '\nExamples:\n  sluice map list\n  sluice map list -o json')
    .action(async (_options: unknown, command: Command) => {
      const maps = await agentOf(command, context).get('/maps', mapsAnswer);
      show(context, globalOptions(command, context).output, { data: maps, text: () => alignTable(mapTable(maps)) });
    });
}

const LIMIT = 1_000;

interface DumpOptions {
  readonly limit: number;
  readonly perCpu?: boolean;
}

function dumpCommand(context: Context): Command {
  return new Command('dump')
    .description('Show the entries of a map, as the kernel has them')
    .argument('<name>', 'as `sluice map list` names it')
    .option('--limit <n>', 'how many entries at most; 0 for all', wholeNumber(0), LIMIT)
    .option('--per-cpu', 'the value of each processor, where each has its own, instead of their sum')
    .addHelpText(
      'after',
      '\nExamples:\n  sluice map dump frontends\n  sluice map dump conntrack --limit 20 -o json\n  sluice map dump counters --per-cpu',
    )
    .action((name: string, options: DumpOptions, command: Command) => dump(name, options, { command, context }));
}

async function dump(
  name: string,
  { limit, perCpu }: DumpOptions,
  { command, context }: { readonly command: Command; readonly context: Context },
): Promise<void> {
  const agent = agentOf(command, context);
  const map = await mapNamed(agent, name);
  const path = pathWithQuery(`/maps/${encodeURIComponent(name)}`, [
    // One more tells that there are more.
    ...(limit === 0 ? [] : [['limit', String(limit + 1)] as const]),
    ...(perCpu ? [['per-cpu', 'true'] as const] : []),
  ]);
  const found = await agent.rows(path, mapLine);
  const rows = limit === 0 ? found : found.slice(0, limit);
  show(context, globalOptions(command, context).output, { data: rows, text: () => alignTable(entryTable(name, rows)) });
  if (rows.length === found.length) return;
  const all = map.entries === undefined ? 'more' : `some ${map.entries}`;
  tell(context, `${counted(rows.length, 'entry')} of ${all} shown; --limit 0 shows all`);
}

async function mapNamed(agent: AgentClient, name: string): Promise<MapUsage> {
  const maps = await agent.get('/maps', mapsAnswer);
  const found = maps.find((map) => map.name === name);
  if (found === undefined)
    throw wrongName({ what: 'map', name, names: maps.map((map) => map.name).sort(), list: 'sluice map list' });
  return found;
}

function entryTable(name: string, rows: readonly MapRow[]): TextTable {
  const noteOf = notes[name];
  return {
    columns: ['KEY', 'VALUE', ...(noteOf === undefined ? [] : ['MEANS'])],
    rows: rows.map(({ key, value }) => [
      fieldsText(key),
      fieldsText(value),
      ...(noteOf ? [noteOf(new Field(key))] : []),
    ]),
  };
}

/** Of rows that are not what they seem to be, by map. */
const notes: Readonly<Record<string, (key: Field) => string>> = {
  frontends: (key) => {
    const address = key.get('address').text() ?? '';
    const isAny = address === '0.0.0.0' || address === '::';
    if (key.get('port').value === 0) return 'the mark that services have this address; no port of one';
    return isAny ? 'a NodePort: at every address of the node that has them' : '';
  },
};

/** `address=10.96.0.10 port=53 dnat.port=0`. */
function fieldsText(value: unknown): string {
  return fields(value, '')
    .map(([name, text]) => (name === '' ? text : `${name}=${text}`))
    .join(' ');
}

function fields(value: unknown, name: string): [name: string, text: string][] {
  if (typeof value !== 'object' || value === null) return [[name, plain(value)]];
  const isPlainList = Array.isArray(value) && value.every((each) => typeof each !== 'object' || each === null);
  if (isPlainList) return [[name, value.map(plain).join(',')]];
  const parts = Object.entries(value).map(([part, each]): [string, unknown] => [
    Array.isArray(value) ? `${name}[${part}]` : name === '' ? part : `${name}.${part}`,
    each,
  ]);
  return parts.flatMap(([part, each]) => fields(each, part));
}

/** Packets' bytes are for -o json. */
const TEXT_MAX = 80;

function plain(value: unknown): string {
  if (value === null || value === undefined || value === '') return '-';
  const text = String(value);
  return text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text;
}

export function mapTable(maps: readonly MapUsage[]): TextTable {
  return {
    columns: ['NAME', 'TYPE', 'ENTRIES', 'MAX', 'FILL', 'MEMORY'],
    rows: maps.map((map) => [
      map.name,
      map.type,
      map.entries === undefined ? '-' : String(map.entries),
      String(map.maxEntries),
      map.entries === undefined || map.maxEntries === 0 ? '-' : `${((100 * map.entries) / map.maxEntries).toFixed(1)}%`,
      map.bytes === undefined ? '-' : formatBytes(map.bytes),
    ]),
  };
}
