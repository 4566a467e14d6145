// npm run test:kubernetes: brings a real cluster up, installs the chart, tries everything, takes the cluster down.
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runTestFiles, type Totals, totalsLine } from '../tools/steps.ts';
import { recipe, root, run } from './cluster.ts';
import { runConformance } from './conformance/run.ts';
import { testConnectivity } from './connectivity.ts';
import { install, loadImage, replacePods, untilReady } from './install.ts';
import { noWarnings } from './warnings.ts';

const usage = `npm run test:kubernetes [-- --subset] [-- --only PART] [-- --keep]
  --subset       what fits into continuous integration: of the upstream tests only Conformance, of the stories the quick ones
  --only PART    connectivity, stories or conformance; may be given again
  --story NAME   only stories whose file has NAME in its name
  --keep         leave the cluster up, or use the one that is
  --containerd 1 Debian's containerd 1.6 in the place of 2.x
`;
const parts = ['connectivity', 'stories', 'conformance'] as const;
/** They take minutes each. */
const slowStories = /jobs|many-pods|api-server|older-state|upgrade|faults|nodes|cilium/;
const storySeconds = 900;
/** Of build.sh; Kubernetes' own tests take minutes to build. */
const stepsWithoutTests = ['kubernetes', 'containerd', 'coredns', 'cni', 'test_programs', 'images'];

const flag = { type: 'boolean', default: false } as const;
const { values: options } = parseArgs({
  options: {
    subset: flag,
    keep: flag,
    help: flag,
    only: { type: 'string', multiple: true },
    story: { type: 'string', default: '' },
    containerd: { type: 'string', default: '2' },
  },
});

async function main(): Promise<boolean> {
  if (options.help) {
    process.stdout.write(usage);
    return true;
  }
  const unknown = options.only?.filter((part) => !parts.some((known) => known === part)) ?? [];
  if (unknown.length > 0) throw new Error(`--only ${unknown.join(' ')}: there are ${parts.join(', ')}`);
  const steps = wants('conformance') ? [] : stepsWithoutTests;
  await command(join(recipe, 'build.sh'), steps, 'the cluster’s programs', { timeoutMs: 3_600_000 });
  await command('npm', ['run', '--silent', 'image'], 'the image');
  await script('parts/lab-image.sh', 'the image of the connectivity test', 60_000);
  const { status } = options.keep ? await run(join(recipe, 'kubectl'), ['get', 'nodes']) : { status: 1 };
  if (status !== 0) await script('up.sh', 'the cluster', 300_000, { CONTAINERD: options.containerd });
  try {
    await step('install the chart', async () => {
      const isNew = await loadImage();
      await install();
      if (isNew && status === 0) await replacePods();
    });
    await step('ready', () => untilReady());
    return await tryAll();
  } finally {
    if (!options.keep) await script('down.sh', 'take the cluster down', 60_000);
  }
}

function wants(part: (typeof parts)[number]): boolean {
  return options.only === undefined || options.only.includes(part);
}

async function tryAll(): Promise<boolean> {
  let good = true;
  if (wants('connectivity')) good = (await part('connectivity', testConnectivity)) && good;
  if (wants('stories')) good = (await part('stories', stories)) && good;
  if (wants('conformance'))
    good = (await part('conformance', () => runConformance({ isSubset: options.subset }))) && good;
  good = (await part('no warning of the API server', noWarnings)) && good;
  return good;
}

async function stories(): Promise<boolean> {
  const files = globSync('kubernetes/test/*.cluster.test.ts', { cwd: root })
    .filter((file) => file.includes(options.story) && !(options.subset && slowStories.test(file)))
    .sort();
  const totals: Totals = { passed: 0, failed: 0, skipped: 0, flaky: 0 };
  const signal = new AbortController().signal;
  const good = await runTestFiles({ root, totals, signal }, files, { concurrency: 1, seconds: storySeconds });
  process.stdout.write(totalsLine(totals));
  return good && totals.passed > 0;
}

async function part(name: string, act: () => Promise<boolean>): Promise<boolean> {
  process.stdout.write(`-- ${name}\n`);
  const began = performance.now();
  const good = await act();
  process.stdout.write(`${good ? 'ok' : 'FAILED'} ${name} (${((performance.now() - began) / 1000).toFixed(1)} s)\n`);
  return good;
}

async function step(name: string, act: () => Promise<void>): Promise<void> {
  await part(name, async () => {
    await act();
    return true;
  });
}

function script(name: string, what: string, timeoutMs: number, environment: Record<string, string> = {}) {
  return command(join(recipe, name), [], what, { timeoutMs, environment });
}

async function command(
  file: string,
  args: readonly string[],
  what: string,
  more: { timeoutMs?: number; environment?: Record<string, string> } = {},
) {
  await step(what, async () => {
    const { status } = await run(file, args, { isShown: true, timeoutMs: 600_000, ...more });
    if (status !== 0) throw new Error(`${file} ended with status ${status}`);
  });
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  process.stderr.write(`test:kubernetes: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
