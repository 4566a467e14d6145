import type { CniVersion } from './version.ts';

/** Codes of the specification, section "Error"; from 100 on they are ours. */
export const CniCode = {
  IncompatibleVersion: 1,
  UnsupportedField: 2,
  UnknownContainer: 3,
  InvalidEnvironment: 4,
  Io: 5,
  Decode: 6,
  InvalidConfig: 7,
  TryAgain: 11,
  NotAvailable: 50,
  LimitedConnectivity: 51,
  InterfaceExists: 100,
  /** CHECK found something else than ADD had made. */
  Different: 101,
} as const;

export type CniCode = (typeof CniCode)[keyof typeof CniCode];

/** A refusal that the container runtime reads: the code decides whether it tries again. */
export class CniError extends Error {
  override readonly name = 'CniError';
  readonly code: number;
  readonly details: string | undefined;

  constructor(code: number, message: string, options: { details?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.details = options.details;
  }

  /** Whatever was thrown, as an answer: what is not a refusal of ours is an I/O error. */
  static from(thrown: unknown): CniError {
    if (thrown instanceof CniError) return thrown;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new CniError(CniCode.Io, message, { cause: thrown });
  }

  format(version: CniVersion): string {
    const details = this.details === undefined ? {} : { details: this.details };
    return JSON.stringify({ cniVersion: version, code: this.code, msg: this.message, ...details });
  }
}
