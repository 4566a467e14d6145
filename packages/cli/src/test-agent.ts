/** For tests of commands: an agent that is asked over a real socket, and the command line with streams that are read. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createProgram, runProgram } from './program.ts';

type Answers = Readonly<Record<string, unknown>> | ((url: string) => unknown);

/** An agent that answers what it is given, on a real socket. */
export async function agent(answers: Answers) {
  const directory = mkdtempSync(join(tmpdir(), `sluice-test-${process.pid}-`));
  const socket = join(directory, 'sluice.sock');
  const server = createServer((request, response) => {
    const url = request.url ?? '';
    const given = typeof answers === 'function' ? answers(url) : answers[url];
    const answer: unknown = typeof given === 'function' ? given() : given;
    response.statusCode = answer === undefined ? 404 : 200;
    response.end(typeof answer === 'string' ? answer : JSON.stringify(answer ?? { error: `no ${request.url}` }));
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  return {
    socket,
    [Symbol.dispose]: () => {
      server.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export async function sluice(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const written = { out: '', err: '' };
  const context = {
    environment,
    out: { write: (text: string) => (written.out += text) },
    err: { write: (text: string) => (written.err += text) },
    signal: new AbortController().signal,
  };
  const exitCode = await runProgram(createProgram(context), args, context);
  return { ...written, exitCode };
}
