/** A part of a long list. */
export interface Page<Row> {
  readonly rows: readonly Row[];
  /** `?offset=` of what follows; undefined: this was the end. */
  readonly next: number | undefined;
}

const rowsMax = 1_000;

/** The part of a list that a request asks for: 100,000 rows at once would be ten times the agent's memory. */
export function pageOf<Row>(rows: Iterable<Row>, url: URL): Page<Row> {
  const offset = Number(url.searchParams.get('offset') ?? '0');
  if (!Number.isSafeInteger(offset) || offset < 0) throw new RangeError(`offset ${offset} is no number of rows`);
  const part = Iterator.from(rows)
    .drop(offset)
    .take(rowsMax + 1)
    .toArray();
  const next = part.length > rowsMax ? offset + rowsMax : undefined;
  return { rows: part.slice(0, rowsMax), next };
}
