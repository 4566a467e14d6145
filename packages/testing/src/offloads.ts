// What a device leaves to hardware, as `ethtool -K` sets it, in the namespace of the calling thread.
import { AddressFamily, addressOf, close, ioctl, SocketType, socket } from '@sluice/ffi';

const SIOCETHTOOL = 0x8946;
const commands = { transmitChecksums: 0x17, receiveMerging: 0x2c } as const;

/** `transmitChecksums`: packets leave with theirs unfinished. `receiveMerging`: GRO, without which a veth takes no frames. */
export type Offload = keyof typeof commands;

export function setOffload(device: string, offload: Offload, on: boolean): void {
  // struct ethtool_value, and struct ifreq: the name in 16 bytes, then a pointer.
  const value = new Uint8Array(Uint32Array.of(commands[offload], on ? 1 : 0).buffer);
  const request = Buffer.alloc(40);
  request.write(device, 0);
  request.writeBigUInt64LE(addressOf(value), 16);
  const fd = socket(AddressFamily.INET, SocketType.DGRAM);
  try {
    ioctl(fd, SIOCETHTOOL, request);
  } finally {
    close(fd);
  }
}
