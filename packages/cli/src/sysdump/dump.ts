import type { Redaction } from './redaction.ts';

/** A file of the dump, not yet collected. */
export interface Piece {
  /** Below the archive's folder: `node/status.json`. */
  readonly path: string;
  /** Text as it is, anything else becomes JSON; undefined: there is none here. */
  readonly collect: () => Promise<unknown>;
}

export interface DumpFile {
  readonly path: string;
  readonly text: string;
}

export interface Dump {
  readonly files: readonly DumpFile[];
  /** What could not be had, each with why. */
  readonly missing: readonly string[];
}

export interface CollectOptions {
  readonly redaction: Redaction;
  readonly signal: AbortSignal;
  /** Told of each piece before it is collected. */
  readonly onPiece?: (path: string) => void;
}

/** One after the other: a dump is taken where something is wrong, and is not to make it worse. */
export async function collectAll(pieces: readonly Piece[], options: CollectOptions): Promise<Dump> {
  const { redaction, signal, onPiece } = options;
  const files: DumpFile[] = [];
  const missing: string[] = [];
  for (const { path, collect } of pieces) {
    signal.throwIfAborted();
    onPiece?.(path);
    try {
      const found = await collect();
      if (found !== undefined) files.push({ path, text: textOf(found, redaction) });
    } catch (error) {
      signal.throwIfAborted();
      missing.push(redaction.text(`${path}: ${error instanceof Error ? error.message : String(error)}`));
    }
  }
  return { files, missing };
}

/** Lines of JSON where there are many, so that a viewer can go through them. */
export interface Rows {
  readonly rows: readonly unknown[];
  /** Whether there are more than those. */
  readonly isCut: boolean;
}

function textOf(found: unknown, redaction: Redaction): string {
  if (typeof found === 'string') return redaction.text(found);
  if (!isRows(found)) return `${JSON.stringify(redaction.object(found), undefined, 2)}\n`;
  const lines = found.rows.map((row) => `${JSON.stringify(redaction.object(row))}\n`);
  const end = found.isCut ? `${JSON.stringify({ cut: `there are more than these ${found.rows.length}` })}\n` : '';
  return lines.join('') + end;
}

function isRows(found: unknown): found is Rows {
  return typeof found === 'object' && found !== null && 'rows' in found && 'isCut' in found;
}

/** The first `max` of more, and that there are more. */
export function cut(rows: readonly unknown[], max: number): Rows {
  return { rows: rows.slice(0, max), isCut: rows.length > max };
}
