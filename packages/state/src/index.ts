/**
 * Tables of frozen rows and the reconcilers that make something outside agree with them. Sources write rows, pure functions
 * derive further tables, a reconciler compares a table with the kernel (or a file, or the API) and repairs differences.
 * It does not know what the rows mean. Begin with `table.ts`, then `reconciler.ts`; `@sluice/state/compliance` has the test
 * that every set of operations must pass.
 */
export { type Controller, type ControllerOptions, type ControllerStatus, Controllers } from './controllers.ts';
export { deepFreeze, sameValue } from './freeze.ts';
export { printTable } from './print.ts';
export {
  type Operations,
  type Reconciler,
  type ReconcilerOptions,
  type ReconcilerSummary,
  type RowStatus,
  reconciler,
} from './reconciler.ts';
export { type Change, type ReadableTable, Table, type TableDefinition } from './table.ts';
