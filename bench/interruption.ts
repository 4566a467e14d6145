/**
 * Ctrl-C: what runs is ended, rows fail, and what they made goes with them. A second one ends everything at once; what is
 * left then is removed by the next run (tools/leftovers.ts).
 */
const controller = new AbortController();

export const interrupted: AbortSignal = controller.signal;

export function listenForInterruption(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      process.stderr.write(`bench: ${signal}: cleaning up\n`);
      controller.abort(new Error(`interrupted by ${signal}`));
    });
  }
}
