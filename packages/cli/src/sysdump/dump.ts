import type { DumpFile } from './archive.ts';
import type { Redaction } from './redaction.ts';

/** A file of the dump, not yet collected. */
export interface Piece {
  /** Below the archive's folder: `node/status.json`. */
  readonly path: string;
  /** Text as it is, anything else becomes JSON; undefined: there is none here. */
  readonly collect: () => Promise<unknown>;
}

export interface CollectOptions {
  readonly redaction: Redaction;
  readonly signal: AbortSignal;
  /** Gets each file before the next one is collected. */
  readonly take: (file: DumpFile) => Promise<void>;
  /** Told of each piece before it is collected. */
  readonly onPiece?: (path: string) => void;
}

/**
 * One after the other: a dump is taken where something is wrong, and is not to make it worse. Returns what could not be
 * had, each with why.
 */
export async function collectAll(pieces: readonly Piece[], options: CollectOptions): Promise<string[]> {
  const { redaction, signal, take, onPiece } = options;
  const missing: string[] = [];
  for (const { path, collect } of pieces) {
    signal.throwIfAborted();
    onPiece?.(path);
    const text = await textOrWhy(collect, redaction);
    signal.throwIfAborted();
    if (text instanceof Error) missing.push(redaction.text(`${path}: ${text.message}`));
    else if (text !== undefined) await take({ path, text });
  }
  return missing;
}

async function textOrWhy(collect: Piece['collect'], redaction: Redaction): Promise<string | Error | undefined> {
  try {
    const found = await collect();
    return found === undefined ? undefined : await textOf(found, redaction);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** Lines of JSON where there are many, so that a viewer can go through them. */
export interface Rows {
  readonly rows: AsyncIterable<unknown>;
  /** The first so many; that there are more is said. */
  readonly max: number;
}

/** Of the lines of one file, whatever their number. */
const rowsBytesMax = 32 << 20;

async function textOf(found: unknown, redaction: Redaction): Promise<string> {
  if (typeof found === 'string') return redaction.text(found);
  if (!isRows(found)) return `${JSON.stringify(redaction.object(found), undefined, 2)}\n`;
  const lines: string[] = [];
  let size = 0;
  for await (const row of found.rows) {
    const line = `${JSON.stringify(redaction.object(row))}\n`;
    size += line.length;
    if (lines.length >= found.max || size > rowsBytesMax) {
      lines.push(`${JSON.stringify({ cut: `there are more than these ${lines.length}` })}\n`);
      break;
    }
    lines.push(line);
  }
  return lines.join('');
}

function isRows(found: unknown): found is Rows {
  return typeof found === 'object' && found !== null && 'rows' in found && 'max' in found;
}
