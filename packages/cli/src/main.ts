import { labCommand } from '@sluice/lab';
import type { Context } from './context.ts';
import { watchOutput } from './output-end.ts';
import { createProgram, runProgram } from './program.ts';

const stop = new AbortController();
const context: Context = { environment: process.env, out: process.stdout, err: process.stderr, signal: stop.signal };
process.once('SIGINT', () => stop.abort());
const end = watchOutput(process.stdout, process.stderr, stop);
// The lab's commands set the exit status themselves.
const exitCode = await runProgram(createProgram(context, [labCommand()]), process.argv.slice(2), context);
if (exitCode !== 0) process.exitCode = exitCode;
// An error of the output comes after the write, at times after the command.
process.once('exit', () => {
  if (end.exitCode !== undefined) process.exitCode = end.exitCode;
});
