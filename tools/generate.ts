// Writes packages/datapath/src/generated from the compiled objects, docs/commands from the help of the commands, the pages of
// metrics, drop reasons, options and the lab's cases of Kubernetes, the chart's values and the launcher's header from the code that has them;
// `--check` only compares and fails on a difference.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { CONFORMANCE_LAB_PAGE, conformanceLabPage } from '../lab/test/conformance/page.ts';
import { type BindingOptions, generateBindings, parseObject } from '../packages/bpf/src/index.ts';
import { describeOptions, valuesFile, valuesSchema } from '../packages/config/src/index.ts';
import { launcherHeader } from '../packages/launcher/src/index.ts';
import { compileObjects } from './bpf-build.ts';
import { COMMAND_PAGES, commandPages } from './command-pages.ts';
import { DROP_REASONS_PAGE, dropReasonsPage } from './drop-reasons-page.ts';
import { METRICS_PAGE, metricsPage } from './metrics-page.ts';

const LAUNCHER_HEADER = 'packages/launcher/c/generated/roles.h';
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

interface Mode {
  readonly write: boolean;
}

/** Files that differ from what the objects say, by their path in the repository; `write` makes them agree. */
export async function generate(root: string, mode: Mode): Promise<string[]> {
  const paths = await compileObjects({ root, log: (line) => process.stdout.write(`${line}\n`) });
  const objects = paths.map((path) => parseObject(readFileSync(path), basename(path)));
  return compareFolder({ root, folder: OUTPUT, files: generateBindings(objects, options) }, mode);
}

/** The same of what the commands say. */
export function generateCommandPages(root: string, mode: Mode): string[] {
  return compareFolder({ root, folder: COMMAND_PAGES, files: commandPages() }, mode);
}

/** Single files. */
export function generateFiles(root: string, { write }: Mode): string[] {
  const pages = [
    [DROP_REASONS_PAGE, dropReasonsPage()],
    [METRICS_PAGE, metricsPage()],
    [CONFORMANCE_LAB_PAGE, conformanceLabPage()],
    [LAUNCHER_HEADER, launcherHeader()],
    ['docs/configuration.md', describeOptions()],
    ['charts/sluice/values.yaml', valuesFile()],
    ['charts/sluice/values.schema.json', valuesSchema()],
  ] as const;
  const different = pages.filter(([path, text]) => {
    const file = join(root, path);
    return !existsSync(file) || readFileSync(file, 'utf8') !== text;
  });
  if (write) for (const [path, text] of different) writeFileSync(join(root, path), text);
  return different.map(([path]) => path);
}

interface GeneratedFolder {
  readonly root: string;
  readonly folder: string;
  /** Text by name: nothing else is in the folder. */
  readonly files: ReadonlyMap<string, string>;
}

function compareFolder({ root, folder: path, files }: GeneratedFolder, mode: Mode): string[] {
  const folder = join(root, path);
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
  return [...stale, ...different.map(([name]) => name)].sort().map((name) => join(path, name));
}

if (import.meta.main) {
  const check = process.argv.includes('--check');
  try {
    const root = resolve(import.meta.dirname, '..');
    const mode = { write: !check };
    const different = [
      ...(await generate(root, mode)),
      ...generateCommandPages(root, mode),
      ...generateFiles(root, mode),
    ];
    for (const path of different) process.stdout.write(`${check ? 'differs from its sources' : 'wrote'}: ${path}\n`);
    if (check && different.length > 0) {
      process.stdout.write('run "npm run generate" and commit what it writes\n');
      process.exitCode = 1;
    }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
