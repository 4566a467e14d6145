/** Why nothing was removed; the message says what to do. */
export class CleanupError extends Error {
  override readonly name = 'CleanupError';
}
