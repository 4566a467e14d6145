// Rules of the repository that a compiler does not know: who may import whom, what is declared, what is forbidden.
// Each rule is a function from the sources to complaints; a complaint names the file, the line and what to do instead.
import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

interface Source {
  readonly path: string;
  readonly packageName: string;
  readonly lines: readonly string[];
  readonly imports: readonly { readonly line: number; readonly specifier: string }[];
}

type Rule = (sources: readonly Source[]) => string[];

/** Lowest first: a package imports only from layers before its own. Features do not import each other. */
const LAYERS: readonly (readonly string[])[] = [
  ['ffi', 'net', 'launcher'],
  ['bpf', 'netlink', 'runtime', 'model'],
  ['state', 'config'],
  ['kube', 'datapath', 'ipam', 'cni', 'identity'],
  ['loadbalancer', 'endpoint', 'nodes'],
  ['doctor'],
  ['cleanup'],
  ['agent', 'operator'],
  ['cli', 'lab'],
];
/** Fakes and namespaces for tests: any package's tests may use it, no product code. */
const TEST_PACKAGE = 'testing';

const FORBIDDEN: readonly { readonly pattern: RegExp; readonly instead: string; readonly where: RegExp }[] = [
  {
    pattern: /node:child_process/,
    instead: 'the product speaks to the kernel itself; only the lab, tools and tests start programs',
    where: /^packages\/(?!testing|cli)/,
  },
  {
    pattern: /node:events/,
    instead: 'a callback or a table subscription; no event emitter between our own modules',
    where: /^packages\//,
  },
  {
    pattern: /@ts-(ignore|expect-error|nocheck)/,
    instead: 'a type that says the truth',
    where: /./,
  },
  {
    pattern: /\bconsole\.(log|error|warn)\(/,
    instead: 'the logger, or the output stream given to the command',
    where: /^packages\/(?!cli|testing|ffi)(?!.*\/main\.ts$)/,
  },
];

const VAGUE_NAMES = new Set(['utils.ts', 'util.ts', 'helpers.ts', 'helper.ts', 'common.ts', 'misc.ts']);

export function complaints(root: string): string[] {
  const sources = readSources(root);
  const rules: Rule[] = [layers, features, forbidden, vagueNames, kebabCase, skips];
  return [
    ...rules.flatMap((rule) => rule(sources)),
    ...undeclared(root, sources),
    ...unhashed(join(root, 'package-lock.json')),
    ...paragraphs(root),
  ];
}

function readSources(root: string): Source[] {
  return globSync(['packages/*/src/**/*.ts', 'packages/*/test/**/*.ts', 'lab/src/**/*.ts', 'lab/test/**/*.ts'], {
    cwd: root,
  })
    .filter((path) => !path.includes('/generated/'))
    .map((path) => {
      const lines = readFileSync(join(root, path), 'utf8').split('\n');
      return { path, packageName: packageOf(path), lines, imports: importsOf(lines) };
    });
}

function packageOf(path: string): string {
  const parts = path.split('/');
  return (parts[0] === 'packages' ? parts[1] : parts[0]) ?? '';
}

function importsOf(lines: readonly string[]): Source['imports'] {
  return lines.flatMap((text, index) => {
    const specifier = /(?:^(?:import|export|\}).*from |\bimport\()'([^'$]+)'/.exec(text)?.[1];
    return specifier === undefined ? [] : [{ line: index + 1, specifier }];
  });
}

const isTest = (path: string): boolean => /\.test\.ts$|\/test(ing)?\/|\.compliance\.ts$/.test(path);
const layerOf = (name: string): number => LAYERS.findIndex((layer) => layer.includes(name));

const layers: Rule = (sources) =>
  sources.flatMap((source) =>
    source.imports.flatMap(({ line, specifier }) => {
      const target = /^@sluice\/([^/]+)/.exec(specifier)?.[1];
      if (target === undefined || isTest(source.path) || source.packageName === TEST_PACKAGE) return [];
      if (target === TEST_PACKAGE) return [`${source.path}:${line}: product code imports @sluice/testing`];
      const own = layerOf(source.packageName);
      const other = layerOf(target);
      if (other === -1) return [`${source.path}:${line}: @sluice/${target} has no layer in tools/rules.ts`];
      return other > own
        ? [`${source.path}:${line}: ${source.packageName} must not import @sluice/${target}, which lies above it`]
        : [];
    }),
  );

const features: Rule = (sources) => {
  const names = LAYERS[4] ?? [];
  return sources.flatMap((source) =>
    source.imports.flatMap(({ line, specifier }) => {
      const target = /^@sluice\/([^/]+)/.exec(specifier)?.[1] ?? '';
      const both = names.includes(source.packageName) && names.includes(target) && !isTest(source.path);
      return both && target !== source.packageName
        ? [`${source.path}:${line}: feature ${source.packageName} imports feature ${target}; they meet in tables`]
        : [];
    }),
  );
};

const forbidden: Rule = (sources) =>
  sources.flatMap((source) =>
    FORBIDDEN.filter((entry) => entry.where.test(source.path) && !isTest(source.path)).flatMap((entry) =>
      source.lines.flatMap((text, index) =>
        entry.pattern.test(text) ? [`${source.path}:${index + 1}: '${text.trim()}': use ${entry.instead}`] : [],
      ),
    ),
  );

const vagueNames: Rule = (sources) =>
  sources
    .filter((source) => VAGUE_NAMES.has(basename(source.path)))
    .map((source) => `${source.path}: a file's name is its noun; '${basename(source.path)}' says nothing`);

const kebabCase: Rule = (sources) =>
  sources
    .filter((source) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z]+)*\.ts$/.test(basename(source.path)))
    .map((source) => `${source.path}: file names are kebab-case`);

/** A skip is a sentence about the machine, never a bare flag. */
const skips: Rule = (sources) =>
  sources.flatMap((source) =>
    source.lines.flatMap((text, index) =>
      /\bskip: true\b|\.skip\(\)|\btodo: true\b|\b(test|it|describe)\.(skip|todo|only)\(/.test(text)
        ? [`${source.path}:${index + 1}: a skip gives its reason: skip: 'kernel has no …'`]
        : [],
    ),
  );

function undeclared(root: string, sources: readonly Source[]): string[] {
  const declared = new Map<string, Set<string>>();
  const rootManifest = manifest(join(root, 'package.json'));
  return sources.flatMap((source) => {
    const folder = source.packageName === 'lab' ? 'lab' : `packages/${source.packageName}`;
    const own = declared.get(folder) ?? manifest(join(root, folder, 'package.json'));
    declared.set(folder, own);
    return source.imports.flatMap(({ line, specifier }) => {
      const name = packageNameOf(specifier);
      if (name === undefined || own.has(name) || name === `@sluice/${source.packageName}`) return [];
      if (isTest(source.path) && (rootManifest.has(name) || name.startsWith('@sluice/'))) return [];
      return [`${source.path}:${line}: '${name}' is not declared in ${folder}/package.json`];
    });
  });
}

interface LockedPackage {
  readonly link?: boolean;
  /** Comes inside of another package. */
  readonly inBundle?: boolean;
  readonly integrity?: string;
}

/** What is installed is what was locked, whoever serves it. */
function unhashed(path: string): string[] {
  const { packages } = JSON.parse(readFileSync(path, 'utf8')) as { packages: Record<string, LockedPackage> };
  return Object.entries(packages)
    .filter(([name, { link, inBundle, integrity }]) => /^node_modules\//.test(name) && !link && !inBundle && !integrity)
    .map(([name]) => `package-lock.json: ${name} has no integrity: depend on it in a way that npm can lock`);
}

function manifest(path: string): Set<string> {
  const parsed = JSON.parse(readFileSync(path, 'utf8')) as Record<string, Record<string, string> | undefined>;
  return new Set([
    ...Object.keys(parsed.dependencies ?? {}),
    ...Object.keys(parsed.devDependencies ?? {}),
    ...Object.keys(parsed.optionalDependencies ?? {}),
  ]);
}

function packageNameOf(specifier: string): string | undefined {
  if (specifier.startsWith('.') || specifier.startsWith('node:')) return undefined;
  const parts = specifier.split('/');
  return specifier.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0];
}

/** Every package says in a paragraph what it is for. */
function paragraphs(root: string): string[] {
  return globSync(['packages/*/package.json', 'lab/package.json'], { cwd: root }).flatMap((path) => {
    const index = join(dirname(path), 'src/index.ts');
    if (!existsSync(join(root, index))) return [`${index}: missing; it is the package's only public surface`];
    const first = readFileSync(join(root, index), 'utf8').trimStart();
    return /^(\/\/|\/\*\*?)/.test(first)
      ? []
      : [`${index}: begins with a paragraph: what it is for, what not, where to begin`];
  });
}
