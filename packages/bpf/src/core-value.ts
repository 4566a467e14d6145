/** CO-RE: the number that a relocation stands for, in the object's types and in the kernel's. */
import type { Btf } from './btf.ts';
import { essentialName, followKernel, followLocal, type Place, parsePath, type TypePair } from './core-access.ts';
import type { CoreRelocation, CoreRelocationKind } from './spec.ts';

export interface CoreValue {
  readonly value: bigint;
  /** For field offsets: how many bytes an access to the field has. */
  readonly accessSize: number | undefined;
}

/** Undefined: the kernel has no such thing, and the instruction must not be reached. */
export function coreValue(
  relocation: CoreRelocation,
  types: TypePair,
  candidates: readonly number[],
): { local: CoreValue; kernel: CoreValue | undefined } {
  const { kind, typeId } = relocation;
  switch (kind) {
    case 'type-id-local':
      return { local: plain(typeId), kernel: plain(typeId) };
    case 'type-id-target':
      return { local: plain(typeId), kernel: agreed(relocation, types, candidates.map(plain)) };
    case 'type-size': {
      const sizes = candidates.map((id) => plain(types.kernel.sizeOf(id)));
      return { local: plain(types.local.sizeOf(typeId)), kernel: agreed(relocation, types, sizes) };
    }
    case 'type-exists':
      return { local: plain(1), kernel: plain(candidates.length > 0 ? 1 : 0) };
    case 'type-matches':
      throw types.local.error(types.local.recordOffset(typeId), 'bpf_core_type_matches is not supported');
    case 'enum-value':
    case 'enum-value-exists':
      return enumValue(relocation, types, candidates);
    default:
      return fieldValue(relocation, types, candidates);
  }
}

function plain(value: number | bigint): CoreValue {
  return { value: BigInt(value), accessSize: undefined };
}

/** Several types of one name are common in a kernel; they only matter where they say different things. */
function agreed(relocation: CoreRelocation, types: TypePair, values: readonly CoreValue[]): CoreValue | undefined {
  const [first, ...rest] = values;
  if (first === undefined || rest.every(({ value }) => value === first.value)) return first;
  const { local } = types;
  const name = local.type(relocation.typeId).name;
  throw local.error(
    local.recordOffset(relocation.typeId),
    `${relocation.kind} of ${name} is ambiguous: the kernel has ${values.length} types of that name that differ`,
  );
}

function enumValue(relocation: CoreRelocation, types: TypePair, candidates: readonly number[]) {
  const { local, kernel } = types;
  const refuse = (problem: string) => local.error(local.recordOffset(relocation.typeId), problem);
  const declared = local.resolve(relocation.typeId);
  if (declared.kind !== 'enum') throw refuse(`${relocation.kind} of a ${declared.kind}`);
  const wanted = declared.values[parsePath(relocation.access)[0] ?? -1];
  if (wanted === undefined) throw refuse(`${declared.name} has no value ${relocation.access}`);
  const name = essentialName(wanted.name);
  const found = candidates.flatMap((id) => {
    const candidate = kernel.resolve(id);
    const value = candidate.kind === 'enum' ? candidate.values.find((other) => other.name === name) : undefined;
    return value === undefined ? [] : [plain(value.value)];
  });
  if (relocation.kind === 'enum-value-exists') return { local: plain(1), kernel: plain(found.length > 0 ? 1 : 0) };
  return { local: plain(wanted.value), kernel: agreed(relocation, types, found) };
}

function fieldValue(relocation: CoreRelocation, types: TypePair, candidates: readonly number[]) {
  const { steps, place } = followLocal(types.local, relocation.typeId, relocation.access);
  const places = candidates.flatMap((id) => followKernel(types, id, steps) ?? []);
  if (relocation.kind === 'field-exists') return { local: plain(1), kernel: plain(places.length > 0 ? 1 : 0) };
  const found = places.map((kernelPlace) => fieldNumber(types.kernel, relocation.kind, kernelPlace));
  return { local: fieldNumber(types.local, relocation.kind, place), kernel: agreed(relocation, types, found) };
}

function fieldNumber(btf: Btf, kind: CoreRelocationKind, place: Place): CoreValue {
  const load = loadOf(btf, place);
  switch (kind) {
    case 'field-offset':
      return { value: BigInt(load.offset), accessSize: place.bitfieldSize === 0 ? load.size : undefined };
    case 'field-size':
      return plain(load.size);
    case 'field-signed': {
      const type = btf.resolve(place.typeId);
      return plain((type.kind === 'int' || type.kind === 'enum') && type.signed ? 1 : 0);
    }
    // Shifts of a 64-bit register after loading the bitfield's bytes, little-endian.
    case 'field-shift-left':
      return plain(64 - (place.bitOffset + bitsOf(place, load) - load.offset * 8));
    case 'field-shift-right':
      return plain(64 - bitsOf(place, load));
    default:
      throw btf.error(0, `${kind} is not about a field`);
  }
}

function bitsOf(place: Place, load: { size: number }): number {
  return place.bitfieldSize === 0 ? load.size * 8 : place.bitfieldSize;
}

/** The aligned bytes that hold the field: itself, or for a bitfield the smallest load that has all its bits. */
function loadOf(btf: Btf, place: Place): { offset: number; size: number } {
  let size = btf.sizeOf(place.typeId);
  if (place.bitfieldSize === 0) return { offset: Math.floor(place.bitOffset / 8), size };
  for (; size >= 1 && size <= 8; size *= 2) {
    const offset = Math.floor(place.bitOffset / 8 / size) * size;
    if (place.bitOffset + place.bitfieldSize - offset * 8 <= size * 8) return { offset, size };
  }
  throw btf.error(btf.recordOffset(place.typeId), `a bitfield of ${place.bitfieldSize} bits fits no load`);
}
