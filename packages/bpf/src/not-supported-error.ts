/** The running kernel lacks a feature. Callers may ask for it and go another way. */
export class NotSupportedError extends Error {
  override readonly name = 'NotSupportedError';
  readonly code = 'ERR_BPF_NOT_SUPPORTED';
  readonly feature: string;
  /** The kernel version that brought it, as in `6.6`; undefined where it depends on the kernel's configuration. */
  readonly since: string | undefined;

  constructor(feature: string, options: { since?: string | undefined; cause?: unknown } = {}) {
    const { since, cause } = options;
    super(`this kernel does not support ${feature}${since === undefined ? '' : ` (Linux ${since})`}`, { cause });
    this.feature = feature;
    this.since = since;
  }
}
