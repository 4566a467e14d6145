import { isatty } from 'node:tty';
import type { Command } from 'commander';
import type { Context } from './context.ts';
import { watchOutput } from './output-end.ts';
import { createProgram, runProgram } from './program.ts';

/** The process: its output, its signals, its exit status. */
export async function runCommandLine(extra: readonly Command[] = []): Promise<void> {
  const stop = new AbortController();
  const context: Context = {
    environment: process.env,
    out: process.stdout,
    err: process.stderr,
    signal: stop.signal,
    isInputTerminal: isatty(0),
  };
  process.once('SIGINT', () => stop.abort());
  const end = watchOutput(process.stdout, process.stderr, stop);
  // The lab's commands set the exit status themselves.
  const exitCode = await runProgram(createProgram(context, extra), process.argv.slice(2), context);
  if (exitCode !== 0) process.exitCode = exitCode;
  // An error of the output comes after the write, at times after the command.
  process.once('exit', () => {
    if (end.exitCode !== undefined) process.exitCode = end.exitCode;
  });
}
