// A worker that sends SYNs, each from another client that does not exist, until it has sent so many. Its frame has right
// checksums, and keeps them: what one word of it gains another loses.
import { parentPort, workerData } from 'node:worker_threads';
import { AddressFamily, close, inNetworkNamespace, packetAddress, SocketType, sendto, socket } from '@sluice/ffi';

export interface Flood {
  /** Path of the network namespace, and the device there. */
  readonly namespace: string;
  readonly ifindex: number;
  /** A SYN over IPv4: clients are its source address and port, and those above and below. */
  readonly frame: Uint8Array;
  readonly count: number;
  /** [0]: set to end early; [1]: sent so far. */
  readonly state: Int32Array;
}

const [ID, SOURCE_HIGH, SOURCE_LOW, PORT, SEQUENCE] = [18, 26, 28, 34, 38];
const PORTS = 32_768;
const ETH_P_IP = 0x0800;

const { namespace, ifindex, frame, count, state } = workerData as Flood;
const fd = inNetworkNamespace(namespace, () => socket(AddressFamily.PACKET, SocketType.RAW, 0));
const to = packetAddress({ ifindex, ethertype: ETH_P_IP });
const view = new DataView(frame.buffer, frame.byteOffset);
const base = [ID, SOURCE_HIGH, SOURCE_LOW, PORT, SEQUENCE].map((offset) => [offset, view.getUint16(offset)] as const);
const set = (offset: number, change: number) =>
  view.setUint16(offset, (base.find(([at]) => at === offset)?.[1] ?? 0) + change);
let sent = 0;
for (; sent < count && Atomics.load(state, 0) === 0; sent += 1) {
  const [low, high] = [sent % PORTS, Math.floor(sent / PORTS)];
  set(SOURCE_LOW, low);
  set(SOURCE_HIGH, high);
  set(ID, -low - high);
  set(PORT, -low);
  set(SEQUENCE, -high);
  sendto(fd, frame, to);
  Atomics.store(state, 1, sent + 1);
}
close(fd);
parentPort?.postMessage(sent);
