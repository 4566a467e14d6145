// What the image has: a node is no place for a lab.
import { runCommandLine } from './run.ts';

await runCommandLine();
