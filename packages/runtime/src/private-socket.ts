import { chmodSync, mkdirSync, rmSync, statSync } from 'node:fs';
import type { Server } from 'node:net';
import { dirname } from 'node:path';

/** Where we listen. */
export interface PrivateSocket {
  readonly path: string;
  /** False: somebody has removed the file, or put another in its place, and nobody finds us any more. */
  isThere(): boolean;
}

/**
 * Listens on a unix socket that only its owner can open, in a directory that is made if need be. What is left of a
 * process that was killed is replaced: whether somebody still listens there is the caller's question.
 */
export async function listenPrivately(server: Server, path: string): Promise<PrivateSocket> {
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
  const file = fileAt(path);
  return { path, isThere: () => file !== undefined && fileAt(path) === file };
}

/** The number alone comes again. */
function fileAt(path: string): string | undefined {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found && `${found.ino} ${found.birthtimeNs}`;
}

/** Connections that the kernel keeps until we accept them. */
const backlog = 512;
