/**
 * The command line, `sluice`: what a person asks of a node's agent, and the connectivity test of a whole cluster. It
 * knows nothing by itself: every answer comes from an agent or from the API server. Begin with `program.ts`.
 */
export { CommandError } from './command-error.ts';
export type { Context } from './context.ts';
export { alignPairs, alignTable, formatAge } from './output.ts';
export { createProgram, runProgram } from './program.ts';
export { VERSION } from './version.ts';
