import { createHash } from 'node:crypto';
import { type Entry, tarArchive } from '../../packages/runtime/src/tar.ts';

/** A layer as it is stored: gzip of a tar archive. */
export interface Layer {
  readonly compressed: Buffer;
  /** Of the archive itself, `sha256:...`. */
  readonly diffId: string;
}

export interface ImageOptions {
  /** Under which the runtime finds it: `localhost/sluice:0.1.0`. */
  readonly name: string;
  readonly architecture: 'amd64' | 'arm64';
  /** Lowest first. */
  readonly layers: readonly Layer[];
  readonly entrypoint: readonly string[];
  readonly path: string;
  readonly version: string;
}

const mediaTypes = {
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  index: 'application/vnd.oci.image.index.v1+json',
} as const;

// The same for every build, or two builds of one source would differ.
const created = '1970-01-01T00:00:00Z';

/** An image layout (OCI image specification 1.1) in a tar archive, as `ctr images import` takes it. */
export function ociArchive(options: ImageOptions): Buffer {
  const blobs = new Map<string, Buffer>();
  const put = (mediaType: string, content: Buffer) => {
    const digest = digestOf(content);
    blobs.set(digest, content);
    return { mediaType, digest, size: content.length };
  };
  const layers = options.layers.map(({ compressed }) => put(mediaTypes.layer, compressed));
  const config = put(mediaTypes.config, json(imageConfig(options)));
  const manifest = { schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers };
  const index = {
    schemaVersion: 2,
    mediaType: mediaTypes.index,
    manifests: [
      {
        ...put(mediaTypes.manifest, json(manifest)),
        platform: { architecture: options.architecture, os: 'linux' },
        annotations: {
          'io.containerd.image.name': options.name,
          'org.opencontainers.image.ref.name': options.name.slice(options.name.lastIndexOf(':') + 1),
        },
      },
    ],
  };
  const entries: Entry[] = [
    file('oci-layout', json({ imageLayoutVersion: '1.0.0' })),
    file('index.json', json(index)),
    ...[...blobs].map(([digest, content]) => file(`blobs/${digest.replace(':', '/')}`, content)),
  ];
  return tarArchive(entries);
}

export function digestOf(content: Uint8Array): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

function imageConfig({ architecture, layers, entrypoint, path, version }: ImageOptions) {
  const labels = { 'org.opencontainers.image.title': 'sluice', 'org.opencontainers.image.version': version };
  return {
    architecture,
    os: 'linux',
    created,
    config: { Entrypoint: entrypoint, Env: [`PATH=${path}`], WorkingDir: '/', Labels: labels },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(() => ({ created, created_by: 'tools/image.ts' })),
  };
}

function file(path: string, content: Buffer): Entry {
  return { path, content, mode: 0o644 };
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
