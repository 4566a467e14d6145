import koffi from 'koffi';
import { SystemError } from './errors.ts';
import { libcFunction } from './libc.ts';

const library = koffi.load(null);
// The address stays a bigint: MAP_FAILED is all ones and pointers may exceed 53 bits in principle.
const nativeMmap: (...args: unknown[]) => bigint | number = library.func(
  'uintptr_t mmap(uintptr_t address, size_t length, int protection, int flags, int fd, long offset)',
);
const nativeMunmap: (address: bigint | number, length: number) => number = library.func(
  'int munmap(uintptr_t address, size_t length)',
);

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;

/** Memory shared with the kernel. Writing to a read-only mapping kills the process: there is no guard. */
export interface MappedMemory extends Disposable {
  readonly buffer: ArrayBuffer;
}

/** Maps a descriptor's memory; disposing detaches the buffer, so a late access throws instead of crashing. */
export function mapMemory(options: { fd: number; length: number; offset?: number; writable?: boolean }): MappedMemory {
  const { fd, length, offset = 0, writable = false } = options;
  const address = nativeMmap(0, length, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, offset);
  if (BigInt.asIntN(64, BigInt(address)) === -1n) throw new SystemError('mmap', koffi.errno(), `of ${length} bytes`);
  const buffer = koffi.view(BigInt(address), length);
  let mapped = true;
  return {
    buffer,
    [Symbol.dispose]() {
      if (!mapped) return;
      mapped = false;
      // Detach first: views into unmapped memory would be a segmentation fault waiting.
      buffer.transfer(0);
      nativeMunmap(address, length);
    },
  };
}

/** Bytes of a memory page: 4096 on x64, often more on arm64. */
export const pageBytes: () => number = libcFunction('int getpagesize()');

const nativeMallocTrim = libcFunction('int malloc_trim(size_t pad)');

/** What the C library has freed and kept for the next allocation goes back to the kernel (malloc_trim(3)). */
export function returnFreeMemory(): void {
  nativeMallocTrim(0);
}
