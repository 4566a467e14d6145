import koffi from 'koffi';
import { SystemError } from './errors.ts';

// The node binary links libc itself: `null` is the process's own symbols, for glibc and musl alike.
const library = koffi.load(null);

type Native = (...args: (number | bigint | string | Uint8Array | null)[]) => number;

/** Declares a C function. Calls are always synchronous: an asynchronous one would occupy a thread of libuv's pool. */
export function libcFunction(definition: string): Native {
  // koffi hands out `any`-typed functions; every definition here returns a number that a double holds exactly.
  const native: Native = library.func(definition);
  return native;
}

/** Returns the result of a call, or throws its errno. */
export function checked(result: number, syscall: string, subject?: string): number {
  if (result < 0) throw new SystemError(syscall, koffi.errno(), subject);
  return result;
}

export function lastErrno(): number {
  return koffi.errno();
}

/**
 * Address of a buffer's memory, for structs that carry pointers. The caller keeps the buffer referenced until the
 * call has returned: the number alone does not keep it alive.
 */
export function addressOf(buffer: Uint8Array): bigint {
  return koffi.address(buffer);
}
