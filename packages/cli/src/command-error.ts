/** A failure that a person can act on: printed as one line, without a stack, and the exit status. */
export class CommandError extends Error {
  readonly exitCode: number;

  constructor(message: string, options: ErrorOptions & { readonly exitCode?: number } = {}) {
    super(message, options);
    this.name = 'CommandError';
    this.exitCode = options.exitCode ?? 1;
  }
}
