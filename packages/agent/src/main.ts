import { mkdirSync } from 'node:fs';
import { createLogger } from '@sluice/runtime';
import { Agent } from './agent.ts';
import { parseOptions } from './options.ts';
import { claimRunDirectory } from './run-directory.ts';

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  const log = createLogger({ name: 'agent', level: options.logLevel }).child({ node: options.nodeName });
  mkdirSync(options.stateDir, { recursive: true, mode: 0o700 });
  const claim = await claimRunDirectory(options.runDir);
  const agent = new Agent(options, log);
  const stop = (reason: string) => {
    log.info({ reason }, 'stopping');
    void agent.stop().then(() => {
      claim[Symbol.dispose]();
      process.exit(0);
    });
  };
  process.once('SIGTERM', () => stop('SIGTERM'));
  process.once('SIGINT', () => stop('SIGINT'));
  // One failed promise is not worth the node's control plane; the traffic does not depend on it, the log names it.
  process.on('unhandledRejection', (error) => log.error({ error }, 'unhandled rejection'));
  await agent.start();
}

main().catch((error: unknown) => {
  console.error(`sluice-agent: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
});
