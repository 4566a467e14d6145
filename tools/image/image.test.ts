// The image as a whole, built from what is in dist/ and bpf/build.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { type BuiltImage, buildImage } from '../image.ts';
import { digestOf } from './oci-archive.ts';

const root = resolve(import.meta.dirname, '../..');
const needed = ['dist/bin/sluice-launch', 'dist/bin/sluice-cni', 'bpf/build/pod.o'];
const missing = needed.filter((path) => !existsSync(join(root, path)));
const options = { skip: missing.length > 0 && `not built: ${missing.join(', ')}; npm run build makes it` };

/** docs/install.md states them. */
const compressedMbMax = 50;
const unpackedMbMax = 132;

let folder: string;
let image: BuiltImage;

before(async () => {
  process.chdir(root);
  folder = mkdtempSync(join(tmpdir(), `sluice-image-${process.pid}-`));
  if (missing.length > 0) return;
  image = await buildImage();
  mkdirSync(join(folder, 'root/proc'), { recursive: true });
  for (const { compressed } of image.layers) {
    execFileSync('tar', ['--extract', '--directory', join(folder, 'root')], { input: gunzipSync(compressed) });
  }
});

after(() => rmSync(folder, { recursive: true, force: true }));

/** A program of the image with nothing but the image around it. */
function inImage(...command: readonly string[]) {
  const place = join(folder, 'root');
  const script = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"';
  return spawnSync('unshare', ['--mount', 'sh', '-c', script, place, ...command], { env: {}, encoding: 'utf8' });
}

test('two builds are equal to the byte', options, async () => {
  const again = await buildImage();
  assert.equal(digestOf(again.archive), digestOf(image.archive));
});

test('it is as small as the docs say', options, () => {
  const unpacked = image.layers.reduce((sum, { compressed }) => sum + gunzipSync(compressed).length, 0);
  assert.ok(image.archive.length < compressedMbMax * 1e6, `${image.archive.length} bytes`);
  assert.ok(unpacked < unpackedMbMax * 1e6, `${unpacked} bytes unpacked`);
  const docs = readFileSync('docs/install.md', 'utf8');
  assert.match(docs, new RegExp(`At most ${compressedMbMax} MB, ${unpackedMbMax} MB unpacked`));
});

test('every process in it starts with nothing of this machine', options, () => {
  const version = (JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version;
  const cli = inImage('/opt/sluice/bin/sluice', '--version');
  assert.deepEqual([cli.status, cli.stdout.trim(), cli.stderr], [0, version, '']);
  assert.match(
    inImage('/opt/sluice/bin/sluice-agent', '--nonsense').stderr,
    /^sluice-agent: Unknown option '--nonsense'/,
  );
  assert.match(inImage('/opt/sluice/bin/sluice-operator', '--nonsense').stderr, /^sluice-operator: Unknown option/);
  assert.match(inImage('/opt/sluice/bin/sluice', 'status').stderr, /sluice\.sock/);
});

test('the agent in it finds its native module, its BPF objects and what it is configured with', options, () => {
  writeFileSync(join(folder, 'root/values.yaml'), 'MTU: 100\n');
  const { stderr } = inImage(
    '/opt/sluice/bin/sluice-agent',
    '--node-name=n1',
    '--config=/values.yaml',
    '--run-dir=/run',
  );
  assert.match(stderr, /values\.yaml:1: MTU: 100 is not 0/);
  for (const name of ['pod', 'host', 'netdev', 'overlay', 'sock', 'kfree', 'explain', 'inspect', 'stale']) {
    assert.ok(existsSync(join(folder, `root/opt/sluice/bpf/build/${name}.o`)), name);
  }
});

test('there is no shell, no package manager, no compiler, and nothing that changes its user', options, () => {
  const files = execFileSync('find', ['.', '-type', 'f', '-printf', '%m %P\n'], {
    cwd: join(folder, 'root'),
    encoding: 'utf8',
  });
  const lines = files.trimEnd().split('\n');
  const programs = lines.filter((line) => /^7/.test(line)).map((line) => line.split('/').at(-1));
  const expected = ['node', 'sluice-cni', 'sluice-launch'];
  assert.deepEqual(programs.filter((name) => !/^(lib|ld-)/.test(name ?? '')).sort(), expected);
  assert.deepEqual(
    lines.filter((line) => /^\d{4}/.test(line)),
    [],
  );
});

test('what a container runtime imports is whole: each blob has the digest that is its name', options, () => {
  const archive = join(folder, 'image');
  mkdirSync(archive);
  execFileSync('tar', ['--extract', '--directory', archive], { input: image.archive });
  const read = (path: string) => readFileSync(join(archive, path));
  const blob = (digest: string) => {
    const content = read(`blobs/${digest.replace(':', '/')}`);
    assert.equal(digestOf(content), digest);
    return content;
  };
  const [manifest] = JSON.parse(read('index.json').toString()).manifests;
  assert.equal(manifest.annotations['io.containerd.image.name'], image.name);
  const { config, layers } = JSON.parse(blob(manifest.digest).toString());
  const { rootfs } = JSON.parse(blob(config.digest).toString());
  assert.deepEqual(
    layers.map(({ digest }: { digest: string }) => digestOf(gunzipSync(blob(digest)))),
    rootfs.diff_ids,
  );
});
