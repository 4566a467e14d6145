/** Maps as declared in C: a struct variable in `.maps` whose members' types carry the numbers (libbpf's convention). */
import type { Btf } from './btf.ts';
import type { BtfMember, BtfVariable } from './btf-type.ts';
import type { BpfFormatError } from './format-error.ts';
import type { MapSpec } from './spec.ts';

const numbers = ['type', 'max_entries', 'map_flags', 'key_size', 'value_size', 'map_extra'] as const;
type NumberName = (typeof numbers)[number];

export function readMap(btf: Btf, variable: BtfVariable): MapSpec {
  const refuse = (problem: string): BpfFormatError =>
    btf.error(btf.recordOffset(variable.id), `map ${variable.name}: ${problem}`);
  const definition = btf.resolve(variable.typeId);
  if (definition.kind !== 'struct') throw refuse(`declared as ${definition.kind}, not as a struct`);
  const values = new Map<NumberName, number>();
  const types = new Map<'key' | 'value', number>();
  for (const member of definition.members) {
    const number = numbers.find((name) => name === member.name);
    if (number !== undefined) values.set(number, numberOf(btf, member, refuse));
    else if (member.name === 'key' || member.name === 'value') types.set(member.name, pointee(btf, member, refuse));
    else throw refuse(`member "${member.name}" is not supported`);
  }
  const type = values.get('type');
  if (type === undefined) throw refuse('no type');
  const size = (what: 'key' | 'value'): number => {
    const typeId = types.get(what);
    const stated = values.get(`${what}_size`);
    const derived = typeId === undefined ? undefined : btf.sizeOf(typeId);
    if (stated !== undefined && derived !== undefined && stated !== derived) {
      throw refuse(`${what}_size ${stated}, but its type has ${derived} bytes`);
    }
    return derived ?? stated ?? 0;
  };
  return {
    name: variable.name,
    type,
    keySize: size('key'),
    valueSize: size('value'),
    maxEntries: values.get('max_entries') ?? 0,
    flags: values.get('map_flags') ?? 0,
    extra: values.get('map_extra') ?? 0,
    keyTypeId: types.get('key') ?? 0,
    valueTypeId: types.get('value') ?? 0,
  };
}

type Refuse = (problem: string) => BpfFormatError;

/** `__uint(name, 5)` is `int (*name)[5]`. */
function numberOf(btf: Btf, member: BtfMember, refuse: Refuse): number {
  const array = btf.resolve(pointee(btf, member, refuse));
  if (array.kind !== 'array') throw refuse(`member "${member.name}" is not written with __uint`);
  return array.length;
}

function pointee(btf: Btf, member: BtfMember, refuse: Refuse): number {
  const pointer = btf.resolve(member.typeId);
  if (pointer.kind !== 'pointer') throw refuse(`member "${member.name}" is not written with __uint or __type`);
  return pointer.typeId;
}
