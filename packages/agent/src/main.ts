import { mkdirSync } from 'node:fs';
import { createLogger, forgetFailure, noteFailure, Tally } from '@sluice/runtime';
import { Agent } from './agent.ts';
import { heap } from './heap.ts';
import { endOnMistakes } from './mistakes.ts';
import { parseOptions } from './options.ts';
import { claimRunDirectory } from './run-directory.ts';

async function main(): Promise<void> {
  heap.growFreely();
  const options = parseOptions(process.argv.slice(2));
  const logged = new Tally();
  const onLine = (level: string) => logged.add([level]);
  const log = createLogger({ name: 'agent', level: options.logLevel, onLine }).child({ node: options.nodeName });
  endOnMistakes(log);
  const claim = await claimRunDirectory(options.runDir);
  const agent = new Agent(options, { log, logged });
  const end = async () => {
    const isOver = await agent.installation?.isOver();
    await agent.stop();
    if (isOver) agent.installation?.remove();
    claim[Symbol.dispose]();
  };
  let stopping = false;
  const stop = (reason: string) => {
    stopping = true;
    log.info({ reason }, 'stopping');
    void end().then(() => process.exit(0));
  };
  process.once('SIGTERM', () => stop('SIGTERM'));
  process.once('SIGINT', () => stop('SIGINT'));
  const run = async () => {
    mkdirSync(options.stateDir, { recursive: true, mode: 0o700 });
    await agent.start();
    forgetFailure(options.runDir);
    await agent.caughtUp();
    heap.keepSmall();
  };
  // Asked to stop, the start ends with an error, which is none.
  await run().catch((error: unknown) => {
    if (stopping) return;
    noteFailure(options.runDir, { at: Date.now(), message: messageOf(error) });
    throw error;
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

main().catch((error: unknown) => {
  console.error(`sluice-agent: ${messageOf(error)}`);
  process.exit(1);
});
