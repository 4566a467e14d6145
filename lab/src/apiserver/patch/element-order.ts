import { isDeepStrictEqual } from 'node:util';
import type { Json } from '../object.ts';
import { isObject } from '../schema/decode.ts';

export interface ElementOrder {
  /** The elements, or objects with their keys, as `$setElementOrder` has them. */
  readonly wanted: readonly Json[];
  /** The list before the patch. */
  readonly before: readonly Json[];
  /** Empty for lists of scalars. */
  readonly key: string;
}

/**
 * A merged list in the order that `$setElementOrder` names. Elements that only the server knows keep their order among
 * themselves, and stand before the first named one that they stood before.
 */
export function inElementOrder(list: readonly Json[], { wanted, before, key }: ElementOrder): Json[] {
  const rankIn = (order: readonly Json[], element: Json) => order.findIndex((other) => isSame(other, element, key));
  const rankWanted = (element: Json) => rankIn(wanted, element);
  const named = list.filter((element) => rankWanted(element) >= 0).sort((a, b) => rankWanted(a) - rankWanted(b));
  const others = list.filter((element) => rankWanted(element) < 0);
  const stoodBefore = (other: Json, element: Json) => {
    const [first, second] = [rankIn(before, other), rankIn(before, element)];
    return first >= 0 && second >= 0 && first < second;
  };
  const result: Json[] = [];
  for (const element of named) {
    for (let [other] = others; other !== undefined && stoodBefore(other, element); [other] = others)
      result.push(...others.splice(0, 1));
    result.push(element);
  }
  return [...result, ...others];
}

function isSame(a: Json, b: Json, key: string): boolean {
  return key !== '' && isObject(a) && isObject(b) ? isDeepStrictEqual(a[key], b[key]) : isDeepStrictEqual(a, b);
}
