import type { Context } from './context.ts';

/** Of whom SIGPIPE ends, as shells have it. */
const PIPE_EXIT = 128 + 13;

/** Undefined for as long as all that is written gets there. */
export interface OutputEnd {
  readonly exitCode: number | undefined;
}

/**
 * Ends the command as Ctrl-C would when nobody reads its output any more (`| head`) or it cannot be written (a full disk), so
 * that the connectivity test still takes its pods away. Without a listener Node ends with a stack trace.
 */
export function watchOutput(
  out: Pick<NodeJS.WritableStream, 'on'>,
  err: Context['err'] & Pick<NodeJS.WritableStream, 'on'>,
  stop: AbortController,
): OutputEnd {
  const end: { exitCode: number | undefined } = { exitCode: undefined };
  // Nobody reads what goes wrong: that is no reason to leave the work undone.
  err.on('error', () => undefined);
  out.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    if (end.exitCode !== undefined) return; // each write that follows fails as well
    end.exitCode = code === 'EPIPE' ? PIPE_EXIT : 1;
    if (code !== 'EPIPE') err.write(`sluice: write to the standard output: ${message}\n`);
    stop.abort();
  });
  return end;
}
