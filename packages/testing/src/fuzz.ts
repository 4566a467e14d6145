import fc from 'fast-check';

/** Of each property in `npm run fuzz -- --parsers`; in tests it is not set. */
const seconds = Number(process.env.SLUICE_FUZZ_SECONDS ?? 0);

/**
 * Asserts a property `runs` times, or in `npm run fuzz -- --parsers` for as long as that asks. A failure tells the seed
 * and the smallest input that fast-check found.
 */
export function holds<Input>(property: fc.IRawProperty<Input, false>, runs: number): void {
  const forTime = {
    numRuns: Number.MAX_SAFE_INTEGER,
    interruptAfterTimeLimit: seconds * 1000,
    markInterruptAsFailure: false,
  };
  fc.assert(property, seconds > 0 ? forTime : { numRuns: runs });
}

/** The bytes with some overwritten, or cut off. */
export function damagedBytes(valid: Uint8Array): fc.Arbitrary<Uint8Array<ArrayBuffer>> {
  const overwrite = fc.tuple(fc.nat(valid.length - 1), fc.integer({ min: 0, max: 255 }));
  return fc.tuple(fc.array(overwrite, { maxLength: 4 }), fc.nat(valid.length)).map(([overwrites, length]) => {
    const bytes = Uint8Array.from(valid);
    for (const [at, byte] of overwrites) bytes[at] = byte;
    return bytes.slice(0, length);
  });
}

/** The text with pieces of it removed, doubled or replaced. */
export function damagedText(valid: string): fc.Arbitrary<string> {
  const place = fc.tuple(fc.nat(valid.length), fc.nat(30));
  const insert = fc.oneof(fc.constant(''), fc.constantFrom(...'{}[]":,\n \t-&*!|>%@`\0'), fc.string({ maxLength: 8 }));
  const change = fc.tuple(place, place, insert);
  return fc.array(change, { minLength: 1, maxLength: 3 }).map((changes) => {
    let text = valid;
    for (const [[at, length], [from, copied], inserted] of changes) {
      text = text.slice(0, at) + inserted + valid.slice(from, from + copied) + text.slice(at + length);
    }
    return text;
  });
}

type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** The value with some of its parts, at any depth, removed or made something else. */
export function damagedJson(valid: unknown): fc.Arbitrary<unknown> {
  const paths = pathsOf(valid as Json);
  const odd = fc.constantFrom<Json>(null, true, -1, 0, 1.5, 65_536, 2 ** 53, '', '::', '10.0.0.1', '0x7', [], {}, [[]]);
  const change = fc.tuple(fc.constantFrom(...paths), fc.option(fc.oneof(odd, fc.jsonValue({ maxDepth: 3 }))));
  return fc.array(change, { minLength: 1, maxLength: 3 }).map((changes) =>
    // `null` of the option stands for: take it away.
    changes.reduce<unknown>((value, [path, replacement]) => changed(value, path, replacement ?? undefined), valid),
  );
}

type Path = readonly (string | number)[];

function pathsOf(value: Json, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  const entries: [string | number, Json][] = Array.isArray(value)
    ? value.map((item: Json, index): [number, Json] => [index, item])
    : Object.entries(value as { [name: string]: Json });
  return [path, ...entries.flatMap(([key, item]) => pathsOf(item, [...path, key]))];
}

/** A part that an earlier change has taken away is left as it is. */
function changed(value: unknown, [key, ...rest]: Path, replacement: unknown): unknown {
  if (key === undefined) return replacement;
  if (typeof value !== 'object' || value === null) return value;
  const inner = changed(Reflect.get(value, key), rest, replacement);
  if (Array.isArray(value))
    return value.flatMap((item, index) => (index === key ? (inner === undefined ? [] : [inner]) : [item]));
  const { [key as keyof typeof value]: _, ...others } = value;
  return inner === undefined ? others : { ...others, [key]: inner };
}
