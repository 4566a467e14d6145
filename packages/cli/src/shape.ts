/** What JSON of somebody else must look like. Fields that are not named are left as they are: `-o json` shows them. */
export interface Shape<Value> {
  /** Throws where the value, found at `at`, is of another shape. */
  check(value: unknown, at: string): void;
  /** Never there: ties the shape to its type. */
  readonly value?: Value;
}

/** Says where an answer is of another shape, such as `kubernetes.watches[0].kind is no text`. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError';
}

/** The value itself, once it is known to be of the shape. */
export function shaped<Value>(value: unknown, shape: Shape<Value>): Value {
  shape.check(value, '');
  return value as Value;
}

export const text: Shape<string> = ofType('string', 'no text');
export const number: Shape<number> = ofType('number', 'no number');
export const flag: Shape<boolean> = ofType('boolean', 'neither true nor false');
export const anything: Shape<unknown> = { check: () => undefined };

export function oneOf<const Value extends string | number>(...known: readonly Value[]): Shape<Value> {
  return {
    check(value, at) {
      if (!known.some((each) => each === value)) throw new ShapeError(`${named(at)} is none of ${known.join(', ')}`);
    },
  };
}

/** May be left out. */
export function optional<Value>(shape: Shape<Value>): Shape<Value | undefined> {
  return {
    check(value, at) {
      if (value !== undefined && value !== null) shape.check(value, at);
    },
  };
}

export function list<Value>(item: Shape<Value>): Shape<readonly Value[]> {
  return {
    check(value, at) {
      if (!Array.isArray(value)) throw new ShapeError(`${named(at)} is no list`);
      for (const [index, each] of value.entries()) item.check(each, `${at}[${index}]`);
    },
  };
}

/** The compiler wants a shape for each field of the type. */
export function record<Value extends object>(
  fields: { readonly [Name in keyof Value]-?: Shape<Value[Name]> },
): Shape<Value> {
  return {
    check(value, at) {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        throw new ShapeError(`${named(at)} is no object`);
      }
      for (const name of Object.keys(fields) as (keyof Value & string)[]) {
        fields[name].check(Reflect.get(value, name), at === '' ? name : `${at}.${name}`);
      }
    },
  };
}

function ofType<Value>(type: string, why: string): Shape<Value> {
  return {
    check(value, at) {
      if (typeof value !== type) throw new ShapeError(`${named(at)} is ${value === undefined ? 'missing' : why}`);
    },
  };
}

function named(at: string): string {
  return at === '' ? 'it' : at;
}
