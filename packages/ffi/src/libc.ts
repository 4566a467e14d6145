import koffi from 'koffi';
import { SystemError } from './errors.ts';

// The node binary links libc itself: `null` is the process's own symbols, for glibc and musl alike.
const library = koffi.load(null);

type Argument = number | bigint | string | Uint8Array | null;

/** Returns the call's result, or the negative errno, as the kernel itself does. */
export type LibcFunction = (...args: Argument[]) => number;

/** Declares a C function. Calls are always synchronous: an asynchronous one would occupy a thread of libuv's pool. */
export function libcFunction(definition: string): LibcFunction {
  // koffi hands out `any`-typed functions; every definition here returns a number that a double holds exactly.
  const native: LibcFunction = library.func(definition);
  return (...args) => {
    const result = native(...args);
    // At once: whatever runs in between may change it.
    return result < 0 ? -koffi.errno() : result;
  };
}

/** The result of a call, or its errno as an error. */
export function checked(result: number, syscall: string, subject?: string): number {
  if (result < 0) throw new SystemError(syscall, -result, subject);
  return result;
}

/**
 * Address of a buffer's memory, for structs that carry pointers. The caller keeps the buffer referenced until the
 * call has returned: the number alone does not keep it alive.
 */
export function addressOf(buffer: Uint8Array): bigint {
  return koffi.address(buffer);
}
