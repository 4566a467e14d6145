// A worker that sends datagrams on a connected socket, as fast as a node under load would see them.
import { parentPort, workerData } from 'node:worker_threads';
import { sendto } from '@sluice/ffi';

const { fd, count } = workerData as { fd: number; count: number };
const payload = new Uint8Array(8);
for (let sent = 0; sent < count; sent += 1) sendto(fd, payload);
parentPort?.postMessage('done');
