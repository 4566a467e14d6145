/**
 * Aborted when somebody ends this process. The reason is an Error: with anything else Node's test runner waits for the file
 * under way and throws (26.10).
 */
export function interruption(): AbortSignal {
  const controller = new AbortController();
  // Not once: npm passes on what the terminal has sent to us as well, and the second one would end us before we have cleaned up.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => controller.abort(new Error(`interrupted by ${signal}`)));
  return controller.signal;
}
