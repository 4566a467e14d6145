import { labCommand } from '@sluice/lab';
import { runCommandLine } from './run.ts';

await runCommandLine([labCommand()]);
