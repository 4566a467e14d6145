import { setImmediate } from 'node:timers/promises';

/** Rows between two pauses for the rest of the process. */
const batch = 512;

/** One by one, for an answer of any length: what is not read yet lies in no memory, and nothing waits for its end. */
export async function* paced<Row>(rows: Iterable<Row>): AsyncGenerator<Row> {
  let count = 0;
  for (const row of rows) {
    count += 1;
    if (count % batch === 0) await setImmediate();
    yield row;
  }
}
