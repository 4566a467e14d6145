import { PassThrough } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { readTar } from '@sluice/runtime/tar-reader';
import type { ClusterAccess } from '../cluster-access.ts';
import { execInPod } from '../connectivity/exec.ts';
import type { SluicePod } from '../sluice-pods.ts';
import type { DumpFile } from './archive.ts';
import type { Redaction } from './redaction.ts';

export interface NodeDumpsOptions {
  readonly access: ClusterAccess;
  readonly redaction: Redaction;
  readonly signal: AbortSignal;
  readonly rowsMax: number;
  /** How long a node may take, in seconds. */
  readonly nodeSeconds: number;
  readonly take: (file: DumpFile) => Promise<void>;
  /** Told when a node begins, and how it ended. */
  readonly onNode: (node: string, how: NodeEnd | undefined) => void;
}

export interface NodeEnd {
  readonly files: number;
  /** Why there is not all of it; undefined: there is. */
  readonly why: string | undefined;
}

export interface DumpedNode {
  readonly node: string;
  /** Its agent; undefined: there is none. */
  readonly pod: SluicePod | undefined;
}

/** Each starts a process beside the agent, and one file of each is held here. */
const concurrency = 4;
/** Packed, as it comes; unpacked a file may have that of `fileBytesMax`. */
const bytesMax = 256 << 20;
const fileBytesMax = 64 << 20;
const filesMax = 1_000;

/**
 * What each agent's own `sluice sysdump` tells, in a folder a node. Of a node that cannot be asked a file says why, and the
 * others go on. Returns what is not there.
 */
export async function nodeDumps(nodes: readonly DumpedNode[], options: NodeDumpsOptions): Promise<string[]> {
  const missing: string[] = [];
  const left = nodes.values();
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const work = async (): Promise<void> => {
    try {
      for (const node of left) missing.push(...(await nodeDump(node, { ...options, signal })));
    } catch (error) {
      // The archive cannot be written: nobody need wait for the other nodes.
      stop.abort();
      throw error;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  return missing.sort();
}

async function nodeDump({ node, pod }: DumpedNode, options: NodeDumpsOptions): Promise<string[]> {
  const { redaction, signal, take, onNode } = options;
  signal.throwIfAborted();
  onNode(node, undefined);
  const folder = `nodes/${node}`;
  const missing: string[] = [];
  let files = 0;
  const takeFile = async (file: DumpFile): Promise<void> => {
    if (file.path === 'missing.txt') missing.push(...linesOf(file.text).map((line) => inFolder(line, folder)));
    else await take({ path: `${folder}/${file.path.replace(/^node\//, '')}`, text: cleaned(file, redaction) });
    files++;
  };
  const found = await whyNot(pod, takeFile, options);
  signal.throwIfAborted();
  const why = found === undefined ? undefined : redaction.text(found);
  if (why !== undefined)
    await take({ path: `${folder}/${files === 0 ? 'unreachable' : 'incomplete'}.txt`, text: `${why}\n` });
  onNode(node, { files, why });
  return [...(why === undefined ? [] : [`${folder}: ${why}`]), ...missing.map((line) => redaction.text(line))];
}

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');
const inFolder = (line: string, folder: string): string => `${folder}/${line.replace(/^node\//, '')}`;

/** Undefined: all of it came. */
async function whyNot(
  pod: SluicePod | undefined,
  take: (file: DumpFile) => Promise<void>,
  options: NodeDumpsOptions,
): Promise<string | undefined> {
  if (pod === undefined) return 'no agent runs there';
  if (pod.imageId === undefined) return `the agent has not started: ${pod.why}`;
  try {
    await takeAll(pod, take, options);
    return undefined;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return pod.ready ? why : `${pod.why}; ${why}`;
  }
}

async function takeAll(
  { namespace, name, containers }: SluicePod,
  take: (file: DumpFile) => Promise<void>,
  { access, signal, rowsMax, nodeSeconds }: NodeDumpsOptions,
): Promise<void> {
  const [container] = containers;
  const command = ['sluice', 'sysdump', '--output', '-', '--this-node', '--no-logs', '--rows', String(rowsMax)];
  const target = { namespace, pod: name, command, ...(container !== undefined && { container }) };
  const packed = new PassThrough();
  const ended = execInPod(access, target, signal, { timeoutMs: nodeSeconds * 1000, bytesMax, stdout: packed }).then(
    ({ exitCode, stderr }) => {
      const [line = ''] = stderr.trim().split('\n');
      if (exitCode !== 0) throw new Error(`its sysdump ends with exit status ${exitCode}: ${line}`);
      packed.end();
    },
  );
  // The archive ends where the command does.
  ended.catch((error: Error) => packed.destroy(error));
  const reading = takeFiles(packed, take);
  const [end, read] = await Promise.allSettled([ended, reading]);
  // Of the two that fail together the first one is why.
  if (read.status === 'rejected' && (end.status === 'fulfilled' || read.reason !== end.reason))
    throw new Error(`its archive cannot be read: ${messageOf(read.reason)}`);
  if (end.status === 'rejected') throw end.reason;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function takeFiles(packed: PassThrough, take: (file: DumpFile) => Promise<void>): Promise<void> {
  const unpacked = createGunzip();
  packed.once('error', (error) => unpacked.destroy(error));
  packed.pipe(unpacked);
  try {
    for await (const { path, content } of readTar(unpacked, { fileBytesMax, filesMax })) {
      const slash = path.indexOf('/');
      // The one folder that all of it is in is that node's.
      await take({ path: slash === -1 ? path : path.slice(slash + 1), text: content.toString('utf8') });
    }
    // To its end, or the command would stand at what nobody reads.
    for await (const _rest of unpacked);
  } finally {
    unpacked.destroy();
    packed.destroy();
  }
}

/** Once more, by what is known here: the node's agent may be of another version, and knows other secrets. */
function cleaned({ path, text }: DumpFile, redaction: Redaction): string {
  try {
    if (path.endsWith('.json')) return `${JSON.stringify(redaction.object(JSON.parse(text)), undefined, 2)}\n`;
    if (path.endsWith('.jsonl'))
      return linesOf(text)
        .map((line) => cleanedLine(line, redaction))
        .join('');
  } catch {
    // Not what its name says: as text, then.
  }
  return redaction.text(text);
}

const cleanedLine = (line: string, redaction: Redaction): string =>
  `${JSON.stringify(redaction.object(JSON.parse(line)))}\n`;
