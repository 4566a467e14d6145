import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SystemError } from '@sluice/ffi';
import type { LineInfo } from './spec.ts';

export interface SourceLine {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

/** The verifier refuses a program: where in the source, why, and where the whole log lies. */
export class VerifierError extends Error {
  override readonly name = 'VerifierError';
  readonly code = 'ERR_BPF_VERIFIER';
  readonly program: string;
  /** The line of C that the refused instruction comes from; undefined without line information. */
  readonly source: SourceLine | undefined;
  readonly reason: string;
  /** The end of the log, the most telling part. */
  readonly lastLines: readonly string[];
  readonly logPath: string;

  constructor(refusal: VerifierRefusal & { program: string; logPath: string; cause: SystemError }) {
    const { program, source, reason, logPath, cause } = refusal;
    const place = source === undefined ? '' : ` at ${source.file}:${source.line} \`${source.text.trim()}\``;
    super(`verifier refuses ${program}${place}: ${reason} (${cause.code}; log: ${logPath})`, { cause });
    this.program = program;
    this.source = source;
    this.reason = reason;
    this.lastLines = refusal.lastLines;
    this.logPath = logPath;
  }
}

export interface VerifierRefusal {
  readonly source: SourceLine | undefined;
  readonly reason: string;
  readonly lastLines: readonly string[];
}

const LAST_LINES = 20;
const REASON_LINES_MAX = 3;

/** Finds reason and place in a verifier's log; `lines` is the program's line information, sorted by instruction. */
export function parseVerifierLog(log: string, lines: readonly LineInfo[] = []): VerifierRefusal {
  const logLines = log.replace(/\0.*$/s, '').trimEnd().split('\n');
  const end = logLines.findLastIndex(isReason) + 1;
  const start = logLines.slice(0, end).findLastIndex((line) => !isReason(line)) + 1;
  const reason = logLines.slice(Math.max(start, end - REASON_LINES_MAX), end).map((line) => line.trim());
  return {
    reason: reason.join('; ') || 'no reason given',
    source: sourceOf(logLines.slice(0, end), lines),
    lastLines: logLines.slice(-LAST_LINES),
  };
}

// What is neither an instruction, nor its source, nor a register state, nor the statistics at the end.
function isReason(line: string): boolean {
  return (
    line.trim() !== '' &&
    !/^(\d+: |; |processed \d+ insns|verification time|stack depth|peak_states|from \d+ to \d+)/.test(line)
  );
}

function sourceOf(logLines: readonly string[], lines: readonly LineInfo[]): SourceLine | undefined {
  const last = logLines.findLast((line) => /^\d+: \([0-9a-f]{2}\)/.test(line));
  const instruction = Number.parseInt(last ?? '', 10);
  const byInstruction = lines.findLast((info) => info.instruction <= instruction);
  if (byInstruction !== undefined) {
    return { file: byInstruction.file, line: byInstruction.line, text: byInstruction.text };
  }
  // Since Linux 6.9 the log itself says where: `; if (x) @ file.c:42`.
  const quoted = logLines.map((line) => /^; (.*) @ (\S+):(\d+)$/.exec(line)).findLast((match) => match !== null);
  if (quoted === undefined || quoted === null) return undefined;
  const [, text = '', file = '', line = ''] = quoted;
  return { file, line: Number(line), text };
}

/** Keeps the whole log as `<program>.verifier.log`, in a new directory of its own when none is given. */
export function keepLog(log: string, options: { program: string; directory: string | undefined }): string {
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'sluice-verifier-'));
  mkdirSync(directory, { recursive: true });
  const path = join(directory, `${options.program.replaceAll(/[^A-Za-z0-9_]/g, '_')}.verifier.log`);
  writeFileSync(path, log, { mode: 0o600 });
  return path;
}
