import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';
import { complaints } from './rules.ts';

/** A repository that keeps every rule, with these files over it. */
function complaintsWith(files: Readonly<Record<string, string>>): string[] {
  const root = mkdtempSync(join(tmpdir(), `sluice-test-${process.pid}-`));
  const all = {
    'package.json': '{ "devDependencies": { "fast-check": "1.0.0" } }',
    'package-lock.json': JSON.stringify({ packages: { 'node_modules/a': { integrity: 'sha512-a' } } }),
    'packages/net/package.json': '{ "dependencies": {} }',
    'packages/net/src/index.ts': '/** Addresses. */\nexport const a = 1;\n',
    'packages/nodes/package.json': '{ "dependencies": { "@sluice/net": "0.1.0", "@sluice/endpoint": "0.1.0" } }',
    'packages/nodes/src/index.ts': "/** Nodes. */\nimport { a } from '@sluice/net';\nexport const b = a;\n",
    ...files,
  };
  try {
    for (const [path, text] of Object.entries(all)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    return complaints(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}

test('this repository and one that keeps the rules have no complaint', () => {
  assert.deepEqual(complaints(resolve(import.meta.dirname, '..')), []);
  assert.deepEqual(complaintsWith({}), []);
});

test('a locked package without its hash is named, but for our own and those inside of another', () => {
  const packages = {
    '': {},
    'packages/net': {},
    'node_modules/@sluice/net': { link: true },
    'node_modules/a/node_modules/b': { inBundle: true },
    'node_modules/c': { version: '1.0.0' },
  };
  assert.deepEqual(complaintsWith({ 'package-lock.json': JSON.stringify({ packages }) }), [
    'package-lock.json: node_modules/c has no integrity: depend on it in a way that npm can lock',
  ]);
});

const broken: readonly {
  readonly name: string;
  readonly path: string;
  readonly text: string;
  readonly says: RegExp;
}[] = [
  {
    name: 'an import from a layer above',
    path: 'packages/net/src/x.ts',
    text: "import { b } from '@sluice/nodes';\n",
    says: /net\/src\/x\.ts:1: net must not import @sluice\/nodes, which lies above it/,
  },
  {
    name: 'a feature that imports a feature',
    path: 'packages/nodes/src/x.ts',
    text: "export { c } from '@sluice/endpoint';\n",
    says: /feature nodes imports feature endpoint; they meet in tables/,
  },
  {
    name: 'product code that imports the test package',
    path: 'packages/nodes/src/x.ts',
    text: "import { c } from '@sluice/testing';\n",
    says: /x\.ts:1: product code imports @sluice\/testing/,
  },
  {
    name: 'a package without a layer',
    path: 'packages/nodes/src/x.ts',
    text: "import { c } from '@sluice/novelty';\n",
    says: /@sluice\/novelty has no layer in tools\/rules\.ts/,
  },
  {
    name: 'an import that is not declared, also over several lines and on demand',
    path: 'packages/net/src/x.ts',
    text: "import {\n  parse,\n} from 'yaml';\nexport const load = () => import('pino');\n",
    says: /x\.ts:3: 'yaml' is not declared in packages\/net\/package\.json[\s\S]*x\.ts:4: 'pino' is not declared/,
  },
  {
    name: 'a child process in the product',
    path: 'packages/net/src/x.ts',
    text: "import { spawn } from 'node:child_process';\n",
    says: /x\.ts:1: .*speaks to the kernel itself/,
  },
  {
    name: 'a file whose name says nothing',
    path: 'packages/net/src/utils.ts',
    text: 'export {};\n',
    says: /a file's name is its noun; 'utils\.ts' says nothing/,
  },
  {
    name: 'a file name in camel case',
    path: 'packages/net/src/macAddress.ts',
    text: 'export {};\n',
    says: /macAddress\.ts: file names are kebab-case/,
  },
  {
    name: 'a skip without a reason',
    path: 'packages/net/src/x.test.ts',
    text: "test('x', { skip: true }, () => undefined);\n",
    says: /x\.test\.ts:1: a skip gives its reason/,
  },
  {
    name: 'a package without its paragraph',
    path: 'packages/net/src/index.ts',
    text: 'export const a = 1;\n',
    says: /net\/src\/index\.ts: begins with a paragraph/,
  },
];

for (const { name, path, text, says } of broken) {
  test(`${name} is named`, () => assert.match(complaintsWith({ [path]: text }).join('\n'), says));
}

test('tests may use the test package and what the root declares', () => {
  const text = "import { c } from '@sluice/testing';\nimport fc from 'fast-check';\n";
  assert.deepEqual(complaintsWith({ 'packages/net/src/x.test.ts': text }), []);
});
