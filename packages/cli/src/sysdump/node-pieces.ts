import { readFileSync } from 'node:fs';
import { arch, cpus, freemem, hostname, loadavg, release, totalmem, uptime } from 'node:os';
import { openNetlink } from '@sluice/netlink';
import { mapsAnswer, statusAnswer, tablesAnswer } from '../agent-answers.ts';
import type { AgentClient } from '../agent-client.ts';
import { statusText } from '../commands/status-text.ts';
import { examine, textOf } from '../examination.ts';
import { anything } from '../shape.ts';
import { VERSION } from '../version.ts';
import type { Piece, Rows } from './dump.ts';
import { logPieces } from './log-pieces.ts';

export interface NodeOptions {
  /** Of each table and map. */
  readonly rowsMax: number;
  /** Files, besides those that are found; false: none, whoever asks has them by another way. */
  readonly logs: readonly string[] | false;
}

/** Of the last events that an agent keeps, of both types. */
const eventsMax = 1_000;
/** Instead of its rows, of 2,000 numbers each, there are the shares that they give. */
const summedMap = 'maglev';
/** Of packets under way, and of one processor's work: bytes that others have sent, and nothing that lasts. */
const passingMaps = new Set([
  'packets',
  'held_fragments',
  'shot_packets',
  'connection_drafts',
  'explanations',
  'events',
]);
const longAnswerMs = 30_000;

/** All of this node: what its agent tells, what the machine is, its network and its logs. */
export async function nodePieces(agent: AgentClient, options: NodeOptions): Promise<Piece[]> {
  return [
    { path: 'node/machine.json', collect: async () => machine() },
    { path: 'node/network.json', collect: async () => network() },
    {
      path: 'node/doctor.txt',
      collect: async () => textOf(await examine({}, agent), { brief: false }),
    },
    ...(await agentPieces(agent, options)),
    ...(options.logs === false ? [] : logPieces(options.logs)),
  ];
}

async function agentPieces(agent: AgentClient, { rowsMax }: NodeOptions): Promise<Piece[]> {
  const answer = (name: string, path: string): Piece => ({
    path: `node/${name}.json`,
    collect: () => agent.get(path, anything, { timeoutMs: longAnswerMs }),
  });
  const rows = (name: string, path: string): Piece => ({
    path: `node/${name}.jsonl`,
    collect: async (): Promise<Rows> => ({ rows: agent.each(path, anything), max: rowsMax }),
  });
  const pieces = [
    answer('version', '/version'),
    answer('status', '/status'),
    { path: 'node/status.txt', collect: () => statusOf(agent) },
    { path: 'node/cni-configuration.json', collect: () => cniConfiguration(agent) },
    answer('config', '/config'),
    answer('programs', '/programs'),
    answer('maps', '/maps'),
    answer('metrics', '/metrics'),
    answer('events', `/events?type=drop&type=trace&last=${eventsMax}`),
    ...['identities', 'ips', 'backends', summedMap, 'connections'].map((name) => rows(name, `/${name}`)),
  ];
  try {
    const tables = await agent.get('/tables', tablesAnswer);
    const lasting = (await agent.get('/maps', mapsAnswer)).filter(
      ({ name }) => !passingMaps.has(name) && name !== summedMap,
    );
    return [
      ...pieces,
      ...tables.map(({ name }) => rows(`tables/${name}`, `/tables/${encodeURIComponent(name)}`)),
      ...lasting.map(({ name }) => rows(`maps/${name}`, `/maps/${encodeURIComponent(name)}?limit=${rowsMax + 1}`)),
    ];
  } catch (error) {
    // One line in the place of twenty that say the same.
    return [{ path: 'node/agent', collect: () => Promise.reject(error) }];
  }
}

async function statusOf(agent: AgentClient): Promise<string> {
  const report = await agent.get('/status', statusAnswer, { timeoutMs: longAnswerMs });
  return statusText(report, { verbose: true, now: Date.now() });
}

async function cniConfiguration(agent: AgentClient): Promise<unknown> {
  const { cni } = await agent.get('/status', statusAnswer);
  return cni.configFile === undefined ? undefined : JSON.parse(readFileSync(cni.configFile, 'utf8'));
}

function machine(): unknown {
  return {
    command: VERSION,
    hostname: hostname(),
    kernel: release(),
    architecture: arch(),
    processors: cpus().length,
    load: loadavg(),
    memoryBytes: { total: totalmem(), free: freemem() },
    uptimeSeconds: Math.floor(uptime()),
    takenAt: new Date().toISOString(),
  };
}

function network(): unknown {
  using netlink = openNetlink();
  return {
    links: netlink.links.list(),
    addresses: netlink.addresses.list(),
    routes: netlink.routes.list(),
    rules: netlink.rules.list(),
    neighbours: netlink.neighbours.list(),
  };
}
