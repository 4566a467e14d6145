// `npm test`: the whole of it, cheapest first: what `npm run check` does, then the kernel, then labs. Interrupted at any
// point it waits for the step under way to end and removes what that left.
import { join } from 'node:path';
import { removeLeftovers } from './leftovers.ts';
import { checks, runSteps, slowSteps, totalsLine } from './steps.ts';

const root = join(import.meta.dirname, '..');
const totals = { passed: 0, failed: 0, skipped: 0, flaky: 0 };
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => interrupted.abort(signal));

const good = await runSteps([...checks, ...slowSteps], { root, totals, signal: interrupted.signal });
const removed = removeLeftovers(root);
if (removed.length > 0) process.stdout.write(`removed what tests left: ${removed.join(', ')}\n`);
if (interrupted.signal.aborted) process.stdout.write(`interrupted by ${String(interrupted.signal.reason)}\n`);
process.stdout.write(totalsLine(totals));
process.exitCode = good && !interrupted.signal.aborted ? 0 : 1;
