import { close, Errno, SystemError } from '@sluice/ffi';
import { Attributes } from './attributes.ts';
import { Command } from './kernel-constants.ts';

export interface LoadedBtf extends Disposable {
  readonly fd: number;
}

const LOG_BYTES = 64 * 1024;

/** Gives types to the kernel. Programs and maps made with them keep them alive. */
export function loadBtf(bytes: Uint8Array, name: string): LoadedBtf {
  const plain = new Attributes(32).pointer(0, bytes).u32(16, bytes.byteLength);
  const fd = plain.attempt(Command.btfLoad);
  if (fd < 0) throw new SystemError('bpf', -fd, `load BTF of ${name}${refusal(bytes)}`);
  return { fd, [Symbol.dispose]: () => close(fd) };
}

// The log lists every type; its end says which one was refused.
function refusal(bytes: Uint8Array): string {
  const log = new Uint8Array(LOG_BYTES);
  const attributes = new Attributes(32)
    .pointer(0, bytes)
    .pointer(8, log)
    .u32(16, bytes.byteLength)
    .u32(20, log.byteLength)
    .u32(24, 1);
  const fd = attributes.attempt(Command.btfLoad);
  if (fd >= 0) close(fd);
  if (fd === -Errno.EPERM) return '';
  const text = Buffer.from(log.subarray(0, Math.max(log.indexOf(0), 0))).toString();
  return ` (${text.trimEnd().split('\n').slice(-2).join('; ')})`;
}
