// What is seen on a device, and what is put there: packet sockets inside its namespace.
import { AddressFamily, bind, close, MessageFlag, packetAddress, recv, SocketType, sendto, socket } from '@sluice/ffi';

const ETH_P_ALL = 3;

export interface Capture extends Disposable {
  /** Frames seen so far, from the Ethernet header on. */
  frames(): Uint8Array[];
}

export function capture(namespace: { run<Result>(section: () => Result): Result }, ifindex: number): Capture {
  const fd = namespace.run(() => {
    const opened = socket(AddressFamily.PACKET, SocketType.RAW, 0);
    bind(opened, packetAddress({ ifindex, ethertype: ETH_P_ALL }));
    return opened;
  });
  return {
    frames() {
      const frames: Uint8Array[] = [];
      const buffer = new Uint8Array(65_536);
      for (;;) {
        const length = recv(fd, buffer, MessageFlag.DONTWAIT);
        if (length === undefined) return frames;
        frames.push(buffer.slice(0, length));
      }
    },
    [Symbol.dispose]: () => close(fd),
  };
}

/** Sends frames out of a device, past every protocol of its namespace. */
export function inject(
  namespace: { run<Result>(section: () => Result): Result },
  ifindex: number,
  ...frames: readonly Uint8Array[]
): void {
  const fd = namespace.run(() => socket(AddressFamily.PACKET, SocketType.RAW, 0));
  try {
    for (const frame of frames) sendto(fd, frame, packetAddress({ ifindex, ethertype: ETH_P_ALL }));
  } finally {
    close(fd);
  }
}
