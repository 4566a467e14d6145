/** What this process has done to a map; what programs do is not in it. */
export type CountedOperation = 'lookup' | 'update' | 'delete';

export interface OperationCount {
  /** Rows, also those of batches. A row that was not there counts: to find out is what was asked. */
  good: number;
  failed: number;
}

export type MapCounts = Readonly<Record<CountedOperation, OperationCount>>;

export function mapCounts(): MapCounts {
  return { lookup: none(), update: none(), delete: none() };
}

const none = (): OperationCount => ({ good: 0, failed: 0 });
