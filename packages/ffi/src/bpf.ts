import { SystemError } from './errors.ts';
import { libcFunction } from './libc.ts';

const nativeSyscall = libcFunction('long syscall(long number, int command, void *attributes, uint size)');

// bpf has no libc wrapper; the number is the architecture's.
const bpfNumbers: Partial<Record<NodeJS.Architecture, number>> = { x64: 321, arm64: 280 };

/**
 * bpf(2) on the bytes of a `union bpf_attr`. Returns the result, or the negative errno: callers on hot paths and
 * probes expect refusals, so an exception would be the wrong price.
 */
export function bpf(command: number, attributes: Uint8Array): number {
  return nativeSyscall(BPF_NUMBER, command, attributes, attributes.byteLength);
}

const BPF_NUMBER = bpfSyscallNumber();

function bpfSyscallNumber(): number {
  const number = bpfNumbers[process.arch];
  if (number === undefined) throw new SystemError('bpf', 38, `on ${process.arch}: only x64 and arm64 are supported`);
  return number;
}
