import { close, read } from '@sluice/ffi';
import { Attributes } from './attributes.ts';
import { Command } from './kernel-constants.ts';
import type { Link } from './link.ts';

const CHUNK_BYTES = 64 * 1024;

/**
 * Runs an iterator and returns all that its program wrote. Socket iterators see the network namespace of the calling
 * thread. `bytesMax` bounds a runaway one: RangeError. Default 64 MiB.
 */
export function readIterator(link: Link, options: { bytesMax?: number } = {}): Uint8Array {
  const { bytesMax = 64 * 1024 * 1024 } = options;
  const fd = new Attributes(8).u32(0, link.fd).call(Command.iterCreate, 'create iterator');
  try {
    const chunks: Uint8Array[] = [];
    for (let total = 0; ; ) {
      const chunk = new Uint8Array(CHUNK_BYTES);
      const length = read(fd, chunk);
      if (length === 0) return Buffer.concat(chunks);
      total += length;
      if (total > bytesMax) throw new RangeError(`iterator wrote more than ${bytesMax} bytes`);
      chunks.push(chunk.subarray(0, length));
    }
  } finally {
    close(fd);
  }
}
