/**
 * What each dependency costs a process that loads it, bundled as the agent is and with the agent's flags:
 * `npm run bench:dependencies`. Each in a process of its own, the median of seven, less what the process takes without it:
 * one with nothing else, and one with TLS, as every process of ours has; streams, which most need, then count once.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { recommendedEnvironment, recommendedNodeFlags } from '@sluice/agent';
import { installationRoot } from '@sluice/runtime';
import { build } from 'esbuild';
import { frugalBuiltins } from '../tools/build/frugal-builtins.ts';

const root = installationRoot();
const runs = 7;

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

async function costOf(code: string, folder: string): Promise<Cost> {
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
  const median = (of: (cost: Cost) => number) => costs.map(of).toSorted((a, b) => a - b)[runs >> 1] ?? Number.NaN;
  return { rssMiB: median(({ rssMiB }) => rssMiB), anonymousMiB: median(({ anonymousMiB }) => anonymousMiB) };
}

function difference(cost: Cost, base: Cost): Cost {
  return { rssMiB: cost.rssMiB - base.rssMiB, anonymousMiB: cost.anonymousMiB - base.anonymousMiB };
}

function print(name: string, ...costs: readonly Cost[]): void {
  const texts = costs.map(
    ({ rssMiB, anonymousMiB }) => `${rssMiB.toFixed(1).padStart(5)} MiB resident, ${anonymousMiB.toFixed(1)} anonymous`,
  );
  process.stdout.write(`${name.padEnd(14)} ${texts.join('; beside TLS ')}\n`);
}

// Below the root, so that koffi is found.
const folder = join(root, 'dist', `dependency-cost-${process.pid}`);
mkdirSync(folder, { recursive: true });
try {
  const alone = await costOf('', folder);
  const withTls = await costOf(tls, folder);
  print('Node alone', alone);
  print('Node with TLS', withTls);
  for (const [name, code] of Object.entries(loads)) {
    print(name, difference(await costOf(code, folder), alone), difference(await costOf(tls + code, folder), withTls));
  }
} finally {
  rmSync(folder, { recursive: true });
}
