/** A C declaration that has no safe counterpart in TypeScript; names the object and the declaration. */
export class BindingError extends Error {
  readonly code = 'ERR_BPF_BINDING';

  constructor(object: string, declaration: string, problem: string) {
    super(`${object}: ${declaration}: ${problem}`);
    this.name = 'BindingError';
  }
}
