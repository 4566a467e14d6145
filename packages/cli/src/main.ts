import { labCommand } from '@sluice/lab';
import type { Context } from './context.ts';
import { createProgram, runProgram } from './program.ts';

const stop = new AbortController();
const context: Context = { environment: process.env, out: process.stdout, err: process.stderr, signal: stop.signal };
process.once('SIGINT', () => stop.abort());
// The lab's commands set the exit status themselves.
const exitCode = await runProgram(createProgram(context, [labCommand()]), process.argv.slice(2), context);
if (exitCode !== 0) process.exitCode = exitCode;
