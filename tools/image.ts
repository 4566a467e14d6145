// `npm run image`: writes dist/sluice-image.tar, the one image of all our processes, from files and without a container
// engine. `ctr -n k8s.io images import dist/sluice-image.tar` gives it to a node. Two builds are equal to the byte.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { type Entry, tarArchive } from '../packages/runtime/src/tar.ts';
import { baseLayer, ownLayer } from './image/layers.ts';
import type { Processor } from './image/libraries.ts';
import { digestOf, type Layer, ociArchive } from './image/oci-archive.ts';

const output = 'dist/sluice-image.tar';
const architectures = { x64: 'amd64', arm64: 'arm64' } as const;

export interface BuiltImage {
  readonly name: string;
  readonly archive: Buffer;
  readonly layers: readonly Layer[];
}

/** The image of what is in dist/ and bpf/build; `cache` keeps what was compressed before. */
export async function buildImage({ cache }: { readonly cache?: string } = {}): Promise<BuiltImage> {
  const processor = ownProcessor();
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  const name = `localhost/sluice:${version}`;
  const layers = [layer(baseLayer(processor), cache), layer(await ownLayer(), cache)];
  const bin = '/opt/sluice/bin';
  const archive = ociArchive({
    name,
    architecture: architectures[processor],
    layers,
    entrypoint: [`${bin}/sluice-launch`],
    path: bin,
    version,
  });
  return { name, archive, layers };
}

function layer(entries: readonly Entry[], cache: string | undefined): Layer {
  const archive = tarArchive(entries);
  const diffId = digestOf(archive);
  const kept = cache === undefined ? undefined : join(cache, `${diffId.replace('sha256:', '')}.gz`);
  if (kept !== undefined && existsSync(kept)) {
    const compressed = readFileSync(kept);
    // It may have been cut short by a full disk.
    if (isArchive(compressed, diffId)) return { compressed, diffId };
  }
  const compressed = gzipSync(archive, { level: 6 });
  if (kept !== undefined) writeReplacing(kept, compressed);
  return { compressed, diffId };
}

function isArchive(compressed: Buffer, diffId: string): boolean {
  try {
    return digestOf(gunzipSync(compressed)) === diffId;
  } catch {
    return false;
  }
}

function ownProcessor(): Processor {
  if (process.arch === 'x64' || process.arch === 'arm64') return process.arch;
  throw new Error(`there is no Node for ${process.arch} among our packages: build on amd64 or arm64`);
}

function writeReplacing(path: string, content: Buffer): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.tmp`, content);
  renameSync(`${path}.tmp`, path);
}

if (import.meta.main) {
  process.chdir(resolve(import.meta.dirname, '..'));
  try {
    const { name, archive, layers } = await buildImage({ cache: '.cache/image' });
    writeReplacing(output, archive);
    const sizes = layers.map(({ compressed }) => `${(compressed.length / 1e6).toFixed(1)} MB`);
    process.stdout.write(`${output}: ${name}, ${digestOf(archive)}, layers ${sizes.join(' and ')}\n`);
  } catch (error) {
    process.stderr.write(`image: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
