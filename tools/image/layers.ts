import { execFileSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join, relative, resolve } from 'node:path';
import type { Entry } from '../../packages/runtime/src/tar.ts';
import { bundle } from '../build/bundles.ts';
import { librariesOf, type Processor } from './libraries.ts';

/** Where everything of ours lies in the image. */
const home = 'opt/sluice';

const processes = {
  agent: 'packages/agent/src/main.ts',
  operator: 'packages/operator/src/main.ts',
  sluice: 'packages/cli/src/image-main.ts',
} as const;

/** What seldom changes: Node, the libraries that it and koffi need, and what a C library expects to find. */
export function baseLayer(processor: Processor): Entry[] {
  const source = `node_modules/node-linux-${processor}`;
  const koffi = `node_modules/@koromix/koffi-linux-${processor}`;
  const native = `${koffi}/linux_${processor}/koffi.node`;
  return [
    { path: `${home}/bin/node`, content: stripped(`${source}/bin/node`), mode: 0o755 },
    text('usr/share/doc/node/LICENSE', readFileSync(`${source}/LICENSE`)),
    ...librariesOf([`${source}/bin/node`, native], processor),
    ...koffiFiles(koffi, native),
    text('etc/passwd', 'root:x:0:0:root:/:/nonexistent\nsluice:x:65532:65532:sluice:/:/nonexistent\n'),
    text('etc/group', 'root:x:0:\nsluice:x:65532:\n'),
    text('etc/nsswitch.conf', 'hosts: files dns\n'),
  ];
}

/** Ours: the bundles, the BPF objects and the static programs. */
export async function ownLayer(): Promise<Entry[]> {
  const { outputFiles } = await bundle(processes, 'dist');
  const scripts = outputFiles.filter(({ path }) => path.endsWith('.js'));
  return [
    text(`${home}/package.json`, readFileSync('package.json')),
    ...scripts.map(({ path, contents }) => text(`${home}/${relative(resolve('.'), path)}`, scriptOnly(contents))),
    ...globSync(['bpf/build/*.o', 'packages/operator/crds/*.yaml']).map((path) =>
      text(`${home}/${path}`, readFileSync(path)),
    ),
    program(`${home}/dist/bin/sluice-cni`, 'dist/bin/sluice-cni'),
    program(`${home}/bin/sluice-launch`, 'dist/bin/sluice-launch'),
    ...['sluice', 'sluice-agent', 'sluice-operator'].map((name) => ({
      path: `${home}/bin/${name}`,
      target: 'sluice-launch',
    })),
  ];
}

/** Of koffi only what is loaded on this processor. */
function koffiFiles(binaries: string, native: string): Entry[] {
  const required = createRequire(resolve('package.json'));
  const entry = relative(resolve('.'), required.resolve('koffi'));
  const files = [
    'package.json',
    'LICENSE.txt',
    'index.js',
    'index.cjs',
    ...globSync('src/koffi/**/*.{js,cjs}', { cwd: 'node_modules/koffi' }),
  ];
  if (!files.includes(relative('node_modules/koffi', entry)))
    throw new Error(`koffi begins with ${entry}, which is not packed`);
  return [
    ...files.map((name) => text(`${home}/node_modules/koffi/${name}`, readFileSync(`node_modules/koffi/${name}`))),
    ...['package.json', 'index.js'].map((name) =>
      text(`${home}/${binaries}/${name}`, readFileSync(`${binaries}/${name}`)),
    ),
    text(`${home}/${native}`, readFileSync(native)),
  ];
}

/** Debugging symbols are a fifth of Node, and nobody looks at them in a cluster. */
function stripped(path: string): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-image-'));
  const output = join(folder, basename(path));
  try {
    execFileSync('strip', ['--strip-all', '-o', output, path], { stdio: ['ignore', 'ignore', 'inherit'] });
    return readFileSync(output);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Without the name of a source map that is not in the image. */
function scriptOnly(contents: Uint8Array): Buffer {
  return Buffer.from(
    Buffer.from(contents)
      .toString('utf8')
      .replace(/\n\/\/# sourceMappingURL=.*\n$/, '\n'),
  );
}

function text(path: string, content: string | Buffer): Entry {
  return { path, content: Buffer.from(content), mode: 0o644 };
}

function program(path: string, source: string): Entry {
  return { path, content: readFileSync(source), mode: 0o755 };
}
