import { readFileSync } from 'node:fs';
import { type Btf, parseBtf } from './btf.ts';
import { NotSupportedError } from './not-supported-error.ts';

const KERNEL_BTF_PATH = '/sys/kernel/btf/vmlinux';

/**
 * The running kernel's types: 5 MiB to read and an index of half a megabyte, 20 ms. Nobody keeps it: load what needs
 * it together, then dispose of it.
 */
export function readKernelBtf(path: string = KERNEL_BTF_PATH): Btf {
  try {
    return parseBtf(readFileSync(path), path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      throw new NotSupportedError('kernel BTF (CONFIG_DEBUG_INFO_BTF)', { since: '5.4', cause: error });
    }
    throw error;
  }
}
