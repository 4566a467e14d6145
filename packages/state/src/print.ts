import type { Table } from './table.ts';

/** A table as people see it: upper-case headers, columns aligned by spaces, `-` for an empty cell. */
export function printTable<Row extends object>(table: Table<Row>): string {
  const headers = Object.keys(table.columns);
  return alignColumns([
    headers.map((header) => header.toUpperCase()),
    ...sortedRows(table).map((row) => cells(table, headers, row)),
  ]);
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
