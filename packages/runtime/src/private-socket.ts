import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import type { Server } from 'node:net';
import { dirname } from 'node:path';

/**
 * Listens on a unix socket that only its owner can open, in a directory that is made if need be. What is left of a
 * process that was killed is replaced: whether somebody still listens there is the caller's question.
 */
export async function listenPrivately(server: Server, path: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  rmSync(path, { force: true });
  // Bound synchronously inside listen(): nobody sees the socket with wider permissions.
  const before = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, backlog, () => resolve());
      process.umask(before);
    });
  } finally {
    process.umask(before);
  }
  chmodSync(path, 0o600);
}

/** Connections that the kernel keeps until we accept them. */
const backlog = 512;
