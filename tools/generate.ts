// Writes packages/datapath/src/generated from the compiled objects; `--check` only compares and fails on a difference.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { type BindingOptions, generateBindings, parseObject } from '../packages/bpf/src/index.ts';
import { compileObjects } from './bpf-build.ts';

const OUTPUT = 'packages/datapath/src/generated';

const options: BindingOptions = {
  command: 'npm run generate',
  library: '@sluice/bpf',
  contractPrefix: 'contract_',
  configurationPrefix: 'config_',
  externals: {
    address: { type: 'Address | undefined', typeName: 'Address', codec: 'addressCodec', from: '@sluice/net' },
    mac: { type: 'Mac', typeName: 'Mac', codec: 'macCodec', from: '@sluice/net' },
  },
};

/** Files that differ from what the objects say, by their path in the repository; `write` makes them agree. */
export async function generate(root: string, mode: { readonly write: boolean }): Promise<string[]> {
  const paths = await compileObjects({ root, log: (line) => process.stdout.write(`${line}\n`) });
  const objects = paths.map((path) => parseObject(readFileSync(path), basename(path)));
  const files = generateBindings(objects, options);
  const folder = join(root, OUTPUT);
  mkdirSync(folder, { recursive: true });
  const stale = readdirSync(folder).filter((name) => !files.has(name));
  const different = [...files].filter(([name, text]) => {
    const path = join(folder, name);
    return !existsSync(path) || readFileSync(path, 'utf8') !== text;
  });
  if (mode.write) {
    for (const name of stale) rmSync(join(folder, name));
    for (const [name, text] of different) writeFileSync(join(folder, name), text);
  }
  return [...stale, ...different.map(([name]) => name)].sort().map((name) => join(OUTPUT, name));
}

if (import.meta.main) {
  const check = process.argv.includes('--check');
  try {
    const different = await generate(resolve(import.meta.dirname, '..'), { write: !check });
    for (const path of different) process.stdout.write(`${check ? 'differs from bpf/' : 'wrote'}: ${path}\n`);
    if (check && different.length > 0) {
      process.stdout.write('run "npm run generate" and commit what it writes\n');
      process.exitCode = 1;
    }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
