import type { Table } from '@sluice/state';
import { knownParameters } from './query.ts';
import type { TableHead, TableLine } from './report.ts';

/** A table of any rows: reports only show them. */
export interface ShownTable {
  readonly name: string;
  readonly size: number;
  /** Throws QueryError for what nothing narrows this table down by. */
  lines(query: URLSearchParams): Generator<TableHead | TableLine>;
}

export function shownTable<Row extends object>(table: Table<Row>): ShownTable {
  return {
    name: table.name,
    get size() {
      return table.size;
    },
    lines(query) {
      knownParameters(query, []);
      return tableLines(table);
    },
  };
}

/** A line after the other: 10,000 services with their backends are 60 MB of text, which nobody needs at once. */
export function* tableLines<Row extends object>(table: Table<Row>): Generator<TableHead | TableLine> {
  const { name, revision, initialized } = table;
  const columns = Object.keys(table.columns);
  yield { name, revision, initialized, columns };
  for (const row of inOrder(table)) {
    yield { cells: columns.map((column) => table.columns[column]?.(row) ?? ''), row };
  }
}

const collator = new Intl.Collator('en', { numeric: true });

/** By the first column, as people count. */
function inOrder<Row extends object>(table: Table<Row>): Row[] {
  const first = table.columns[Object.keys(table.columns)[0] ?? ''];
  const keyed = table.list().map((row) => ({ key: `${first?.(row) ?? ''} ${table.key(row)}`, row }));
  return keyed.sort((left, right) => collator.compare(left.key, right.key)).map(({ row }) => row);
}
