import { join } from 'node:path';
import {
  AddressFamily,
  close,
  createNetworkNamespace,
  inNetworkNamespace,
  ioctl,
  removeNetworkNamespace,
  SocketType,
  socket,
} from '@sluice/ffi';
import { temporaryDirectory } from './directory.ts';

export interface TemporaryNetworkNamespace extends Disposable {
  /** A file that `setns`, `nsenter --net=` and netlink take. */
  readonly path: string;
  /** Runs a synchronous section with this thread inside. */
  run<Result>(section: () => Result): Result;
}

/** A network namespace of the test's own, its loopback device up. */
export function temporaryNetworkNamespace(): TemporaryNetworkNamespace {
  using stack = new DisposableStack();
  const path = join(stack.use(temporaryDirectory()).path, 'net');
  createNetworkNamespace(path);
  stack.defer(() => removeNetworkNamespace(path));
  inNetworkNamespace(path, loopbackUp);
  const owned = stack.move();
  return {
    path,
    run: (section) => inNetworkNamespace(path, section),
    [Symbol.dispose]: () => owned.dispose(),
  };
}

const SIOCSIFFLAGS = 0x8914;
const IFF_UP = 1;

function loopbackUp(): void {
  // struct ifreq: the name in 16 bytes, then the flags.
  const request = Buffer.alloc(40);
  request.write('lo', 0);
  request.writeUInt16LE(IFF_UP, 16);
  const fd = socket(AddressFamily.INET, SocketType.DGRAM);
  try {
    ioctl(fd, SIOCSIFFLAGS, request);
  } finally {
    close(fd);
  }
}
