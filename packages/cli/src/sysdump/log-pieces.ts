import { closeSync, fstatSync, globSync, openSync, readSync } from 'node:fs';
import type { Piece } from './dump.ts';

/** Where a kubelet keeps the logs of our pods. */
const podLogs = '/var/log/pods/*_sluice-*/*/*.log';
/** Its end is what tells. */
const logBytesMax = 2 << 20;
const logsMax = 50;

/** The logs of agent and operator on this node, and those that were named. */
export function logPieces(named: readonly string[]): Piece[] {
  const found = globSync(podLogs).slice(0, logsMax);
  const paths = [...new Set([...named, ...found])];
  if (paths.length === 0) return [{ path: 'node/logs', collect: () => Promise.reject(new Error(noLogs)) }];
  return paths.map((path) => ({
    path: `node/logs/${path.replace(/^\/+(var\/log\/pods\/)?/, '').replaceAll('/', '_')}`,
    collect: async () => endOf(path),
  }));
}

const noLogs = `none in ${podLogs}; name them with --log, or ask the cluster for them with --kubeconfig`;

function endOf(path: string): string {
  const fd = openSync(path, 'r');
  try {
    const { size } = fstatSync(fd);
    const bytes = Buffer.alloc(Math.min(size, logBytesMax));
    const read = readSync(fd, bytes, 0, bytes.length, Math.max(0, size - logBytesMax));
    const text = bytes.toString('utf8', 0, read);
    // A line that was cut could hide a secret's name, and so the secret would stay.
    return size > logBytesMax ? text.slice(text.indexOf('\n') + 1) : text;
  } finally {
    closeSync(fd);
  }
}
