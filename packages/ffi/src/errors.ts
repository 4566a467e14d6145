import { constants } from 'node:os';

/** A system call that the kernel refused: errno is data, the message names the call and what it was about. */
export class SystemError extends Error {
  override readonly name = 'SystemError';
  /** Symbolic name, as in `ENOENT`. */
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;

  constructor(syscall: string, errno: number, subject?: string) {
    const code = errnoName(errno);
    super(`${syscall}${subject === undefined ? '' : ` ${subject}`}: ${code}`);
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
  }
}

/** True when the error is a system call refused with this errno name. */
export function isSystemError(error: unknown, ...codes: string[]): error is SystemError {
  return error instanceof SystemError && (codes.length === 0 || codes.includes(error.code));
}

/** `ENOENT` for 2; the bare number where nobody named it. */
export function errnoName(errno: number): string {
  return errnoNames.get(errno) ?? `errno ${errno}`;
}

/** Errno numbers by name; ENOTSUPP is the kernel's own, user space headers do not know it. */
export const Errno = { ...constants.errno, ENOTSUPP: 524 } as const;

// EWOULDBLOCK and EOPNOTSUPP share their numbers with EAGAIN and ENOTSUP: the first name wins, the usual one.
const errnoNames = new Map<number, string>();
for (const [name, number] of Object.entries(Errno)) {
  if (!errnoNames.has(number)) errnoNames.set(number, name);
}
