/** Rows of a map for one of another layout: what an upgrade does, so that it need not throw connections away. */
import type { Btf } from './btf.ts';
import { isArrayType, isPerCpuType, MapType, mapTypeName } from './kernel-constants.ts';
import { layoutsCompatible, layoutText } from './layout.ts';
import { readMapBtf } from './layout-check.ts';
import { LayoutMismatchError } from './layout-mismatch-error.ts';
import type { BpfMap } from './map.ts';
import { numberIn, planFields } from './row-plan.ts';
import { RowTransfer } from './row-transfer.ts';
import type { MapSpec } from './spec.ts';

export interface MapMigration {
  /** Fields that rows lose, and those that they get, as `planFields` names them. */
  readonly lost: readonly string[];
  readonly added: readonly string[];
  between(from: BpfMap, to: BpfMap): RowTransfer;
}

export interface MigrationOptions {
  /** When a row was made, where the values have such a field: the larger the younger. */
  readonly ageField?: string;
  /** A field that says of what the row stands for that it has come to its end, from that number on. */
  readonly end?: { readonly field: string; readonly from: bigint };
}

/** Whether programs of an object can work on the map as it is, and understand its rows. */
export function isMapReusable(map: BpfMap, spec: MapSpec, btf: Btf): boolean {
  const { info } = map;
  const shape = (of: Pick<MapSpec, 'type' | 'keySize' | 'valueSize' | 'flags'>) =>
    `${of.type} ${of.keySize} ${of.valueSize} ${of.flags}`;
  if (shape(info) !== shape(spec)) return false;
  // A hash of another size works as it is; programs are verified against the bounds of an array.
  if (isArrayType(info.type) && info.maxEntries !== spec.maxEntries) return false;
  const own = readMapBtf(map);
  if (own === undefined) return true;
  const same = (left: number, right: number) =>
    left === 0 || right === 0 || layoutsCompatible(layoutText(own, left), layoutText(btf, right));
  return same(info.keyTypeId, spec.keyTypeId) && same(info.valueTypeId, spec.valueTypeId);
}

/** Their rows can be read and written. */
const withRows: readonly number[] = [
  MapType.hash,
  MapType.array,
  MapType.percpuHash,
  MapType.percpuArray,
  MapType.lruHash,
  MapType.lruPercpuHash,
  MapType.lpmTrie,
];

/**
 * Of a map that another version has made, told by the types that the kernel keeps of it. Throws LayoutMismatchError
 * where it has none, its rows are of another sort, its key lost a field, or a field changed beyond recognition.
 */
export function planMigration(
  map: BpfMap,
  spec: MapSpec,
  btf: Btf,
  { ageField = '', end }: MigrationOptions = {},
): MapMigration {
  const { info } = map;
  const own = readMapBtf(map);
  const refuse = (expected: string, actual: string) => new LayoutMismatchError({ map: spec.name, expected, actual });
  if (
    !withRows.includes(info.type) ||
    !withRows.includes(spec.type) ||
    isPerCpuType(info.type) !== isPerCpuType(spec.type)
  )
    throw refuse(mapTypeName(spec.type), mapTypeName(info.type));
  if (own === undefined || info.keyTypeId === 0 || info.valueTypeId === 0)
    throw refuse('a map that the kernel knows the types of', 'one that was made without');
  const plan = (from: number, to: number) => {
    const [actual, expected] = [layoutText(own, from), layoutText(btf, to)];
    try {
      return planFields(actual, expected);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      throw refuse(`${expected}\n${error.message}`, actual);
    }
  };
  const key = plan(info.keyTypeId, spec.keyTypeId);
  const value = plan(info.valueTypeId, spec.valueTypeId);
  if (key.lost.length > 0)
    throw refuse(`a key that keeps its field ${key.lost.join(', ')}`, layoutText(own, info.keyTypeId));
  const ages = {
    from: numberIn(layoutText(own, info.valueTypeId), ageField),
    to: numberIn(layoutText(btf, spec.valueTypeId), ageField),
  };
  const ending = end && numberIn(layoutText(own, info.valueTypeId), end.field);
  const isOver = (row: DataView, offset: number) => (ending?.(row, offset) ?? -1n) >= (end?.from ?? 0n);
  return {
    lost: value.lost,
    added: [...key.added, ...value.added],
    between: (from, to) => new RowTransfer({ from, to, key, value, ages, isOver }),
  };
}
