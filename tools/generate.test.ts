import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, test } from 'node:test';
import { compileObjects } from './bpf-build.ts';
import { generate } from './generate.ts';

const repository = resolve(import.meta.dirname, '..');
const source = [
  '#include <linux/bpf.h>',
  '#include <bpf/bpf_helpers.h>',
  'struct thing { __u32 number; };',
  'struct thing contract_thing;',
  'char LICENSE[] SEC("license") = "GPL";',
  '',
].join('\n');

interface Root extends Disposable {
  readonly path: string;
  write(text: string): void;
}

/** A repository with one source. */
function temporaryRoot(text: string): Root {
  const path = mkdtempSync(join(tmpdir(), `sluice-generate-${process.pid}-`));
  mkdirSync(join(path, 'bpf'));
  symlinkSync(join(repository, 'bpf/include'), join(path, 'bpf/include'));
  const write = (content: string) => writeFileSync(join(path, 'bpf/contract.bpf.c'), content);
  write(text);
  return { path, write, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

describe('generate', () => {
  test('writes what is missing, then finds nothing to do', async () => {
    using root = temporaryRoot(source);
    assert.equal((await generate(root.path, { write: true })).length, 5);
    assert.deepEqual(await generate(root.path, { write: false }), []);
  });

  test('names the files that differ from C, also one that C no longer has, and leaves them when it only checks', async () => {
    using root = temporaryRoot(source);
    await generate(root.path, { write: true });
    const folder = 'packages/datapath/src/generated';
    appendFileSync(join(root.path, folder, 'structs.ts'), '// by hand\n');
    writeFileSync(join(root.path, folder, 'old.ts'), '');
    const different = [`${folder}/old.ts`, `${folder}/structs.ts`];
    assert.deepEqual(await generate(root.path, { write: false }), different);
    assert.deepEqual(await generate(root.path, { write: false }), different);
  });
});

describe('compileObjects', () => {
  test('compiles only what has changed', async () => {
    using root = temporaryRoot(source);
    const lines: string[] = [];
    const compile = () => compileObjects({ root: root.path, log: (line) => lines.push(line) });
    await compile();
    await compile();
    assert.deepEqual(lines, ['compiled bpf/contract.bpf.c']);
  });

  test('shows what the compiler says about a source', async () => {
    using root = temporaryRoot(`${source}int wrong = nothing;\n`);
    await assert.rejects(
      compileObjects({ root: root.path, log: () => undefined }),
      /bpf\/contract\.bpf\.c does not compile:\n.*use of undeclared identifier 'nothing'/s,
    );
  });

  test('says what to install when there is no compiler', () => {
    const tool = join(import.meta.dirname, 'bpf-build.ts');
    const result = spawnSync(process.execPath, [tool, '--force'], { env: { PATH: '/nonexistent' }, encoding: 'utf8' });
    assert.equal(result.status, 1);
    assert.match(result.stderr, /^clang-19 is not installed: run "npm run setup"/);
  });
});
