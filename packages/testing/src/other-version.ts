import { type ChildProcess, execFile, spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { temporaryDirectory } from './directory.ts';

export interface Edit {
  /** In the repository. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** Connections and endpoints with fields in front of those that are there, so that every field stands elsewhere. */
export const otherLayouts: readonly Edit[] = [
  {
    file: 'bpf/lib/connection.h',
    from: 'struct connection {\n',
    to: 'struct connection {\n\t__u32 first_mark;\n\t__u32 second_mark;\n',
  },
  { file: 'bpf/lib/endpoint.h', from: 'struct endpoint {\n', to: 'struct endpoint {\n\t__u32 color;\n' },
];

/** The repository as another version of it, with types generated from objects of its own. */
export interface OtherVersion extends Disposable {
  readonly root: string;
  /** Runs a script of that version, from source. */
  start(script: string, args: readonly string[]): ChildProcess;
}

const left: ReadonlySet<string> = new Set(['node_modules', '.git', '.cache', 'dist']);

export interface OtherVersionOptions {
  /** Its processes in `dist/` as well, as `npm run build` makes them. */
  readonly bundles?: boolean;
}

/** Takes some seconds: every object is compiled. */
export async function otherVersion(
  repository: string,
  edits: readonly Edit[],
  { bundles = false }: OtherVersionOptions = {},
): Promise<OtherVersion> {
  using stack = new DisposableStack();
  const root = join(stack.use(temporaryDirectory()).path, 'repository');
  for (const name of readdirSync(repository)) {
    if (left.has(name)) continue;
    cpSync(join(repository, name), join(root, name), {
      recursive: true,
      preserveTimestamps: true,
      filter: (path) => basename(path) !== 'node_modules',
    });
  }
  linkModules(repository, root);
  for (const edit of edits) apply(root, edit);
  await run(root, 'generate-all.ts', GENERATE);
  if (bundles) await run(root, 'bundle-all.ts', BUNDLE);
  const owned = stack.move();
  return {
    root,
    start: (script, args) => spawn(process.execPath, [join(root, script), ...args], { cwd: root, stdio: 'pipe' }),
    [Symbol.dispose]: () => owned.dispose(),
  };
}

async function run(root: string, name: string, script: string): Promise<void> {
  writeFileSync(join(root, name), script);
  await promisify(execFile)(process.execPath, [name], { cwd: root });
}

const GENERATE = `import { generate } from './tools/generate.ts';
await generate(import.meta.dirname, { write: true });
`;

const BUNDLE = `import { mkdirSync } from 'node:fs';
import { buildBundles } from './tools/build/bundles.ts';
import { openFreshness } from './tools/build/freshness.ts';
mkdirSync('dist');
await buildBundles(openFreshness('dist/.inputs.json', { force: true }));
`;

/** Our own packages are that version's, all others the same. */
function linkModules(repository: string, root: string): void {
  const from = join(repository, 'node_modules');
  const to = join(root, 'node_modules');
  mkdirSync(join(to, '@sluice'), { recursive: true });
  for (const name of readdirSync(from)) {
    if (name === '@sluice') continue;
    // The image packs it from where the repository is.
    if (name === 'koffi') cpSync(join(from, name), join(to, name), { recursive: true });
    else symlinkSync(join(from, name), join(to, name));
  }
  for (const name of readdirSync(join(from, '@sluice'))) {
    symlinkSync(readlinkSync(join(from, '@sluice', name)), join(to, '@sluice', name));
  }
  // What npm could not put into the common folder.
  for (const workspace of readdirSync(join(repository, 'packages'))) {
    const own = join('packages', workspace, 'node_modules');
    if (existsSync(join(repository, own))) symlinkSync(join(repository, own), join(root, own));
  }
}

function apply(root: string, { file, from, to }: Edit): void {
  const path = join(root, file);
  const before = readFileSync(path, 'utf8');
  if (before.split(from).length !== 2) throw new Error(`${file} must have this once: ${from}`);
  writeFileSync(path, before.replace(from, to));
}
