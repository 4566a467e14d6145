/** CO-RE: finds in the kernel's types what an object's access path means (libbpf's relo_core.c is the reference). */
import type { Btf } from './btf.ts';
import type { BtfComposite, BtfMember, BtfType } from './btf-type.ts';

/** Anonymous structs within structs, and arrays of arrays, beyond this are damage. */
const DEPTH_MAX = 32;

/** One step of a path: a member by name (in a struct), or an index (into an array, or from the root pointer). */
export type Step = { readonly index: number; readonly member: BtfMember | undefined };

/** Where a path ends. */
export interface Place {
  readonly bitOffset: number;
  /** Type of what is there. */
  readonly typeId: number;
  /** 0 when it is no bitfield. */
  readonly bitfieldSize: number;
}

/** `task_struct___v5` is another view of `task_struct`. */
export function essentialName(name: string): string {
  const flavor = name.indexOf('___');
  return flavor > 0 ? name.slice(0, flavor) : name;
}

/** Follows a path like `0:1:2` in the object's types. Only named members and indices are steps. */
export function followLocal(btf: Btf, rootId: number, access: string): { steps: Step[]; place: Place } {
  const refuse = (problem: string) => btf.error(btf.recordOffset(rootId), `access path "${access}": ${problem}`);
  const [first, ...rest] = parsePath(access);
  if (first === undefined) throw refuse('not a path');
  const steps: Step[] = [{ index: first, member: undefined }];
  let place: Place = { bitOffset: first * btf.sizeOf(rootId) * 8, typeId: rootId, bitfieldSize: 0 };
  for (const index of rest) {
    const type = btf.resolve(place.typeId);
    if (type.kind === 'struct' || type.kind === 'union') {
      const member = type.members[index];
      if (member === undefined) throw refuse(`${type.name} has no member ${index}`);
      if (member.name !== '') steps.push({ index, member });
      place = within(place, member);
    } else if (type.kind === 'array') {
      steps.push({ index, member: undefined });
      place = elementOf(btf, place, { typeId: type.elementTypeId, index });
    } else throw refuse(`a ${type.kind} has no parts`);
  }
  return { steps, place };
}

/** The numbers of a path, or none when it is not one. */
export function parsePath(access: string): number[] {
  return /^\d{1,9}(:\d{1,9})*$/.test(access) && access.length < 256 ? access.split(':').map(Number) : [];
}

export interface TypePair {
  readonly local: Btf;
  readonly kernel: Btf;
}

/** The same path in a candidate of the kernel, members found by name; undefined when it is not there. */
export function followKernel(types: TypePair, candidateId: number, steps: readonly Step[]): Place | undefined {
  const { kernel } = types;
  const [root, ...rest] = steps;
  let place: Place | undefined = {
    bitOffset: (root?.index ?? 0) * kernel.sizeOf(candidateId) * 8,
    typeId: candidateId,
    bitfieldSize: 0,
  };
  for (const { index, member } of rest) {
    const type = kernel.resolve(place.typeId);
    if (member !== undefined) {
      if (type.kind !== 'struct' && type.kind !== 'union') return undefined;
      place = findMember(types, { composite: type, wanted: member, at: place, depth: 0 });
      if (place === undefined) return undefined;
    } else {
      // A flexible array has length 0 and takes any index.
      if (type.kind !== 'array' || (type.length > 0 && index >= type.length)) return undefined;
      place = elementOf(kernel, place, { typeId: type.elementTypeId, index });
    }
  }
  return place;
}

interface Search {
  readonly composite: BtfComposite;
  readonly wanted: BtfMember;
  readonly at: Place;
  readonly depth: number;
}

/** Members of anonymous structs count as members of what holds them. */
function findMember(types: TypePair, { composite, wanted, at, depth }: Search): Place | undefined {
  if (depth > DEPTH_MAX) return undefined;
  for (const member of composite.members) {
    const place = within(at, member);
    if (member.name === wanted.name) {
      return fieldsCompatible(types, { localId: wanted.typeId, kernelId: member.typeId }, 0) ? place : undefined;
    }
    if (member.name !== '') continue;
    const inner = types.kernel.resolve(member.typeId);
    if (inner.kind !== 'struct' && inner.kind !== 'union') continue;
    const found = findMember(types, { composite: inner, wanted, at: place, depth: depth + 1 });
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Whether code compiled for one type can read the other: sizes may differ, kinds may not. */
function fieldsCompatible(types: TypePair, ids: { localId: number; kernelId: number }, depth: number): boolean {
  const local = types.local.resolve(ids.localId);
  const kernel = types.kernel.resolve(ids.kernelId);
  if (isComposite(local) && isComposite(kernel)) return true;
  if (local.kind !== kernel.kind) return false;
  switch (local.kind) {
    case 'int':
    case 'float':
    case 'pointer':
      return true;
    case 'enum':
    case 'forward':
      return local.name === '' || kernel.name === '' || essentialName(local.name) === essentialName(kernel.name);
    case 'array': {
      if (kernel.kind !== 'array' || depth > DEPTH_MAX) return false;
      return fieldsCompatible(types, { localId: local.elementTypeId, kernelId: kernel.elementTypeId }, depth + 1);
    }
    default:
      return false;
  }
}

function isComposite(type: BtfType): boolean {
  return type.kind === 'struct' || type.kind === 'union';
}

function within(place: Place, member: BtfMember): Place {
  return {
    bitOffset: place.bitOffset + member.bitOffset,
    typeId: member.typeId,
    bitfieldSize: member.bitfieldSize,
  };
}

function elementOf(btf: Btf, place: Place, element: { typeId: number; index: number }): Place {
  const bits = element.index * btf.sizeOf(element.typeId) * 8;
  return { bitOffset: place.bitOffset + bits, typeId: element.typeId, bitfieldSize: 0 };
}
