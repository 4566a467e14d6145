/** The kernel's or the object's idea of a map differs from the generated one: prints both. */
export class LayoutMismatchError extends Error {
  override readonly name = 'LayoutMismatchError';
  readonly code = 'ERR_BPF_LAYOUT';
  readonly map: string;
  /** What the TypeScript side was generated for. */
  readonly expected: string;
  readonly actual: string;

  constructor(mismatch: { map: string; expected: string; actual: string; remedy?: string }) {
    const { map, expected, actual, remedy } = mismatch;
    const what = `map ${map} is laid out differently\nexpected: ${expected}\nactual:   ${actual}`;
    super(remedy === undefined ? what : `${what}\n${remedy}`);
    this.map = map;
    this.expected = expected;
    this.actual = actual;
  }
}
