// `npm run check`: everything that needs no kernel and no root; run it before every commit.
import { join } from 'node:path';
import { checks, runSteps, totalsLine } from './steps.ts';

const totals = { passed: 0, failed: 0, skipped: 0, flaky: 0 };
const run = { root: join(import.meta.dirname, '..'), totals, signal: new AbortController().signal };
const good = await runSteps(checks, run);
process.stdout.write(totalsLine(totals));
process.exitCode = good ? 0 : 1;
