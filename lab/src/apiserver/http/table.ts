import type { KubernetesObject } from '../object.ts';
import type { Cell, Column } from '../printing/column.ts';

export type RowContent = 'Metadata' | 'Object' | 'None';

/** Does the client ask for a table? `application/json;as=Table;v=v1;g=meta.k8s.io,application/json` */
export function wantsTable(accept: string | undefined): boolean {
  return (accept ?? '').split(',')[0]?.includes('as=Table') ?? false;
}

export interface Table {
  kind: 'Table';
  apiVersion: 'meta.k8s.io/v1';
  metadata: object;
  columnDefinitions: Omit<Column, 'cell'>[];
  rows: { cells: Cell[]; object?: object }[];
}

export function toTable(
  columns: readonly Column[],
  objects: readonly KubernetesObject[],
  metadata: object,
  content: RowContent = 'Metadata',
): Table {
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: columns.map(({ cell: _, ...definition }) => definition),
    rows: objects.map((object) => ({
      cells: columns.map((column) => column.cell(object)),
      ...(content !== 'None' && { object: content === 'Object' ? object : partial(object) }),
    })),
  };
}

function partial({ metadata }: KubernetesObject): object {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata };
}

export function rowContent(text: string | null): RowContent {
  return text === 'Object' || text === 'None' ? text : 'Metadata';
}
