/**
 * Aborted when somebody ends this process. The reason is an Error: with anything else Node's test runner waits for the file
 * under way and throws (26.10).
 */
export function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => controller.abort(new Error(`interrupted by ${signal}`)));
  return controller.signal;
}
