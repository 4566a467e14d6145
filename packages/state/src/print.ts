import type { Table } from './table.ts';

export interface PrintOptions<Row> {
  /** Rows to show; default all, by key. */
  readonly rows?: readonly Row[];
  /** Columns to show, in this order; default all. */
  readonly columns?: readonly string[];
}

/** A table as people see it: upper-case headers, columns aligned by spaces, `-` for an empty cell. */
export function printTable<Row extends object>(table: Table<Row>, options: PrintOptions<Row> = {}): string {
  const headers = options.columns ?? Object.keys(table.columns);
  const rows = options.rows ?? sortedRows(table);
  return alignColumns([
    headers.map((header) => header.toUpperCase()),
    ...rows.map((row) => cells(table, headers, row)),
  ]);
}

/** The rows as they are, by key, for machines: bigint becomes a decimal string, bytes become hex. */
export function tableToJson<Row extends object>(table: Table<Row>): string {
  return JSON.stringify({ table: table.name, revision: table.revision, rows: sortedRows(table) }, plainJson, 2);
}

function sortedRows<Row extends object>(table: Table<Row>): Row[] {
  const keyed = table.list().map((row) => ({ key: table.key(row), row }));
  return keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)).map(({ row }) => row);
}

function cells<Row extends object>(table: Table<Row>, headers: readonly string[], row: Row): string[] {
  return headers.map((header) => {
    const text = table.columns[header]?.(row) ?? '';
    return text === '' ? '-' : text.replace(/[\n\r\t]/g, ' ');
  });
}

function alignColumns(lines: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const line of lines) {
    for (const [index, cell] of line.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length);
  }
  return lines
    .map((line) =>
      line
        .map((cell, index) => cell.padEnd(widths[index] ?? 0))
        .join('   ')
        .trimEnd(),
    )
    .join('\n');
}

function plainJson(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  return value;
}
