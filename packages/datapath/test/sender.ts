// A worker that sends datagrams on a connected socket, in bursts as a node under load would see them, until it is told to
// stop by a shared flag; it answers how many it sent.
import { parentPort, workerData } from 'node:worker_threads';
import { sendto } from '@sluice/ffi';

const BURST = 20;
const PAUSE_MS = 10;
// A thousand seconds of them: emulated, a replacement takes a minute.
const COUNT_MAX = 2_000_000;

const { fd, stop } = workerData as { fd: number; stop: Int32Array };
const payload = new Uint8Array(8);
let sent = 0;
while (Atomics.load(stop, 0) === 0 && sent < COUNT_MAX) {
  for (let burst = 0; burst < BURST; burst += 1) sendto(fd, payload);
  sent += BURST;
  // Read by whoever finds that nothing arrives.
  Atomics.store(stop, 1, sent);
  Atomics.wait(stop, 0, 0, PAUSE_MS);
}
parentPort?.postMessage(sent);
