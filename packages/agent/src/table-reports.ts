import type { Table } from '@sluice/state';
import type { TableReport } from './report.ts';

/** A table of any rows: reports only show them. */
export interface ShownTable {
  readonly name: string;
  readonly size: number;
  report(): TableReport;
}

export function shownTable<Row extends object>(table: Table<Row>): ShownTable {
  return {
    name: table.name,
    get size() {
      return table.size;
    },
    report: () => tableReport(table),
  };
}

export function tableReport<Row extends object>(table: Table<Row>): TableReport {
  const columns = Object.keys(table.columns);
  const first = table.columns[columns[0] ?? ''];
  const rows = table
    .list()
    .map((row) => ({ key: `${first?.(row) ?? ''} ${table.key(row)}`, row }))
    .sort((left, right) => compareNaturally(left.key, right.key))
    .map(({ row }) => row);
  return {
    name: table.name,
    revision: table.revision,
    initialized: table.initialized,
    columns,
    cells: rows.map((row) => columns.map((column) => table.columns[column]?.(row) ?? '')),
    rows,
  };
}

function compareNaturally(left: string, right: string): number {
  return left.localeCompare(right, 'en', { numeric: true });
}
