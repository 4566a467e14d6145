// `npm test`: the whole of it, cheapest first: what `npm run check` does, then the kernel, then labs. Interrupted at any
// point it ends what is under way and removes what that left.
import { join } from 'node:path';
import { interruption } from './interruption.ts';
import { removeLeftovers } from './leftovers.ts';
import { checks, runSteps, slowSteps, totalsLine } from './steps.ts';

const root = join(import.meta.dirname, '..');
const totals = { passed: 0, failed: 0, skipped: 0, flaky: 0 };
const signal = interruption();

const good = await runSteps([...checks, ...slowSteps], { root, totals, signal });
const removed = removeLeftovers(root);
if (removed.length > 0) process.stdout.write(`removed what tests left: ${removed.join(', ')}\n`);
if (signal.aborted) process.stdout.write(`${signal.reason.message}\n`);
process.stdout.write(totalsLine(totals));
process.exitCode = good && !signal.aborted ? 0 : 1;
