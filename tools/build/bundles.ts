import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, relative, resolve } from 'node:path';
import type { Freshness } from './freshness.ts';
import { frugalBuiltins } from './frugal-builtins.ts';

const processes = {
  sluice: 'packages/cli/src/main.ts',
  agent: 'packages/agent/src/main.ts',
  operator: 'packages/operator/src/main.ts',
  lab: 'lab/src/main.ts',
} as const;

const recipe = 'esbuild 5';

/** One bundle a process; what several share, and what is imported on demand, are chunks beside them. */
export async function buildBundles(freshness: Freshness): Promise<void> {
  const entryPoints = Object.fromEntries(Object.entries(processes).filter(([, source]) => existsSync(source)));
  const outputs = Object.keys(entryPoints).map((name) => `dist/${name}.js`);
  const recipeOfAll = [recipe, ...outputs].join(' ');
  if (outputs.every((output) => freshness.isFresh(output, recipeOfAll))) return;
  console.log(`build: ${outputs.join(' ')}`);
  const result = await bundle(entryPoints, 'dist');
  // Chunks first, so that an entry never names a chunk that is not there yet.
  const files = result.outputFiles.toSorted((a, b) => depth(b.path) - depth(a.path));
  for (const file of files) writeReplacing(file.path, file.contents);
  removeOldChunks(files.map((file) => basename(file.path)));
  const inputs = Object.keys(result.metafile.inputs).filter((input) => existsSync(input));
  for (const output of outputs) freshness.record(output, recipeOfAll, inputs);
}

/** As every process of ours is bundled; nothing is written. */
export async function bundle(entryPoints: Readonly<Record<string, string>>, outdir: string) {
  const { build } = await import('esbuild');
  return build({
    entryPoints: { ...entryPoints },
    outdir,
    bundle: true,
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    format: 'esm',
    platform: 'node',
    target: 'node26',
    packages: 'bundle',
    external: ['koffi'], // a native addon: it stays in node_modules
    plugins: [frugalBuiltins],
    define: { 'process.env.NODE_ENV': '"production"' },
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    sourcemap: 'linked',
    sourcesContent: false,
    minifySyntax: true,
    metafile: true,
    write: false,
    logLevel: 'error',
  });
}

function depth(path: string): number {
  return relative(resolve('dist'), path).split('/').length;
}

function writeReplacing(path: string, contents: Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.tmp`, contents);
  renameSync(`${path}.tmp`, path);
}

/** A process that is running may still import a chunk of its own build. */
function removeOldChunks(current: readonly string[]): void {
  if (!existsSync('dist/chunks')) return;
  for (const name of readdirSync('dist/chunks')) {
    const path = `dist/chunks/${name}`;
    if (!current.includes(name) && Date.now() - statSync(path).mtimeMs > dayMs) rmSync(path);
  }
}

const dayMs = 24 * 3600 * 1000;
