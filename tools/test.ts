// `npm test`: the whole of it, cheapest first: what `npm run check` does, then the kernel, then labs. Interrupted at any
// point it ends its children and removes what they left.
import { join } from 'node:path';
import { checks, kernelSteps, runSteps } from './steps.ts';

const root = join(import.meta.dirname, '..');
const totals = { passed: 0, failed: 0, skipped: 0 };
const good = await runSteps([...checks, ...kernelSteps], root, totals);
process.stdout.write(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped\n`);
process.exitCode = good ? 0 : 1;
