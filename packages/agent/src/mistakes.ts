import type { Logger } from '@sluice/runtime';

/**
 * A mistake of ours leaves nobody knows what behind: the process ends, and whoever supervises it starts a new agent from
 * the kernel's state and the files. No packet notices. Promises that nobody waits for come by here when they fail.
 */
export function endOnMistakes(log: Logger): void {
  process.on('uncaughtException', (error, origin) => {
    log.fatal({ error, origin }, 'the agent made a mistake and ends: please report this');
    process.exit(1);
  });
}
