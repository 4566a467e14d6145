import { closeSync, openSync } from 'node:fs';
import { isSystemError } from './errors.ts';
import { checked, libcFunction } from './libc.ts';

const nativeRead = libcFunction('long read(int fd, void *buffer, size_t length)');
const nativeWrite = libcFunction('long write(int fd, const void *buffer, size_t length)');
const nativeIoctl = libcFunction('int ioctl(int fd, ulong request, void *argument)');
const nativeFlock = libcFunction('int flock(int fd, int operation)');
const nativeDup = libcFunction('int fcntl(int fd, int command, long argument)');

const F_DUPFD_CLOEXEC = 1030;
const LOCK_EX = 2;
const LOCK_NB = 4;

/** Opens a path close-on-exec (libuv's own open does that), with fs flags such as `'r'`; throws fs errors with `code`. */
export function openFd(path: string, flags: string | number = 'r'): number {
  return openSync(path, flags);
}

export function close(fd: number): void {
  closeSync(fd);
}

/** Blocking read of what is there; for descriptors that fs refuses, such as BPF iterators. */
export function read(fd: number, buffer: Uint8Array): number {
  return checked(nativeRead(fd, buffer, buffer.byteLength), 'read');
}

export function write(fd: number, buffer: Uint8Array): number {
  return checked(nativeWrite(fd, buffer, buffer.byteLength), 'write');
}

export function ioctl(fd: number, request: number, argument: Uint8Array): number {
  return checked(nativeIoctl(fd, request, argument), 'ioctl', `0x${request.toString(16)}`);
}

/** Locks the open file, until all its descriptors are closed or their process has ended. False: somebody else has it. */
export function lock(fd: number): boolean {
  try {
    checked(nativeFlock(fd, LOCK_EX | LOCK_NB), 'flock');
    return true;
  } catch (error) {
    if (isSystemError(error, 'EAGAIN')) return false;
    throw error;
  }
}

/** Another descriptor of the same open file, with a lifetime of its own. */
export function duplicate(fd: number): number {
  return checked(nativeDup(fd, F_DUPFD_CLOEXEC, 0), 'dup');
}
