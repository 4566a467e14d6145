import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { recommendedEnvironment, recommendedNodeFlags } from '@sluice/agent';
import { installationRoot } from '@sluice/runtime';
import { build } from 'esbuild';
import { frugalBuiltins } from '../../tools/build/frugal-builtins.ts';
import type { Figure, Row } from '../row.ts';
import { median } from '../statistics.ts';

export const dependencies: Row = {
  name: 'dependencies',
  sentence:
    'What each dependency costs a process that loads it, bundled as the agent is and with its flags: beside TLS, as every process of ours has it, and alone',
  goal: 'only told; docs/dependencies.md says what for',
  onRequest: true,
  async run({ quick, progress }) {
    const runs = quick ? 1 : 7;
    // Below the root, so that koffi is found.
    const folder = join(root, 'dist', `dependency-cost-${process.pid}`);
    mkdirSync(folder, { recursive: true });
    try {
      const alone = await costOf('', folder, runs);
      const withTls = await costOf(tls, folder, runs);
      const figures = [...costFigures('Node alone', alone), ...costFigures('Node with TLS', withTls)];
      for (const [name, code] of Object.entries(loads)) {
        progress(name);
        figures.push(
          ...costFigures(`${name} beside TLS`, difference(await costOf(tls + code, folder, runs), withTls)),
          ...costFigures(`${name} alone`, difference(await costOf(code, folder, runs), alone)),
        );
      }
      return {
        figures,
        notes: [
          `Each in a process of its own, the median of ${runs}, less what the process takes without it. Alone, a package also pays for the parts of Node that it is the first to load, mostly streams.`,
        ],
      };
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};

const root = installationRoot();

/** Code that loads it and makes what we make of it. */
const loads: Readonly<Record<string, string>> = {
  koffi: "import koffi from 'koffi'; koffi.load(null);",
  pino: "import { destination, pino } from 'pino'; pino({}, destination({ dest: '/dev/null', sync: true })).info('x');",
  yaml: "import { parseDocument } from 'yaml'; import { readFileSync } from 'node:fs'; parseDocument(readFileSync('examples/homelab/values.yaml', 'utf8')).toJS();",
  ajv: "import { Ajv } from 'ajv'; new Ajv().compile({ type: 'object' });",
  ws: "import { WebSocket } from 'ws'; globalThis.kept = WebSocket;",
  commander: "import { Command } from 'commander'; new Command().helpInformation();",
};

const tls = "import { request } from 'node:https'; globalThis.tls = request;";

const report = `
import { readFileSync as readReport } from 'node:fs';
setTimeout(() => {
  const text = readReport('/proc/self/smaps_rollup', 'utf8');
  const [, rss] = /^Rss:\\s+(\\d+)/m.exec(text);
  const [, anonymous] = /^Anonymous:\\s+(\\d+)/m.exec(text);
  console.log(rss / 1024, anonymous / 1024);
}, 50);`;

interface Cost {
  readonly rssMiB: number;
  readonly anonymousMiB: number;
}

async function costOf(code: string, folder: string, runs: number): Promise<Cost> {
  const outfile = join(folder, 'loads.mjs');
  await build({
    stdin: { contents: code + report, resolveDir: root, loader: 'js' },
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node26',
    external: ['koffi'],
    plugins: [frugalBuiltins],
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    minifySyntax: true,
  });
  const environment = { ...process.env, ...recommendedEnvironment };
  const costs = Array.from({ length: runs }, () => {
    const answer = execFileSync(process.execPath, [...recommendedNodeFlags, outfile], { cwd: root, env: environment });
    const [rssMiB = Number.NaN, anonymousMiB = Number.NaN] = answer.toString().trim().split(' ').map(Number);
    return { rssMiB, anonymousMiB };
  });
  return {
    rssMiB: median(costs.map(({ rssMiB }) => rssMiB)),
    anonymousMiB: median(costs.map(({ anonymousMiB }) => anonymousMiB)),
  };
}

function difference(cost: Cost, base: Cost): Cost {
  return { rssMiB: cost.rssMiB - base.rssMiB, anonymousMiB: cost.anonymousMiB - base.anonymousMiB };
}

function costFigures(what: string, { rssMiB, anonymousMiB }: Cost): Figure[] {
  return [
    { what: `${what}, resident`, value: rssMiB, unit: 'MiB' },
    { what: `${what}, anonymous`, value: anonymousMiB, unit: 'MiB' },
  ];
}
