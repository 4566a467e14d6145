import { errnoName } from '@sluice/ffi';

/** What went wrong between us and the kernel's routing socket; `code` is an errno name, or one of ours for damaged messages. */
export class NetlinkError extends Error {
  override readonly name = 'NetlinkError';
  /** `EEXIST`, `ENODEV`, ... or `MALFORMED` for a message that cannot be read and `INTERRUPTED` for a dump that never settles. */
  readonly code: string;
  /** Positive errno; 0 where the kernel did not answer with one. */
  readonly errno: number;

  constructor(message: string, options: { code: string; errno?: number; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.errno = options.errno ?? 0;
  }
}

/** A message that breaks the format; never answered with a guess. */
export function malformed(what: string): NetlinkError {
  return new NetlinkError(`malformed netlink message: ${what}`, { code: 'MALFORMED' });
}

/** The kernel's refusal: the action that failed, the errno's name and the text of its extended acknowledgement. */
export function refused(action: string, errno: number, kernelText: string | undefined): NetlinkError {
  const code = errnoName(errno);
  const detail = kernelText === undefined ? code : `${code}: ${kernelText}`;
  return new NetlinkError(`${action}: ${detail}`, { code, errno });
}

/** True for a NetlinkError with one of the codes, so that callers can say which refusals they expect. */
export function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof NetlinkError && codes.includes(error.code);
}
