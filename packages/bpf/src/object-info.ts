import { Attributes } from './attributes.ts';
import { Command } from './kernel-constants.ts';

/** Fills `info` (a struct bpf_*_info, in and out) for a descriptor of any kind; shorter kernels leave the rest zero. */
export function readObjectInfo(fd: number, info: Attributes): void {
  const attributes = new Attributes(16).u32(0, fd).u32(4, info.bytes.byteLength).pointer(8, info.bytes);
  attributes.call(Command.objGetInfoByFd, `read info of fd ${fd}`);
}

/** Text of a char array that ends at its first NUL. */
export function nameAt(info: Attributes, offset: number): string {
  const bytes = info.bytes.subarray(offset, offset + 16);
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString();
}

/** Descriptor of an object by its id, for `MAP_GET_FD_BY_ID` and its siblings. */
export function openById(command: number, id: number): number {
  return new Attributes(12).u32(0, id).call(command, `open id ${id}`);
}
