import { close } from '@sluice/ffi';
import { Attributes } from './attributes.ts';
import { type Btf, parseBtf } from './btf.ts';
import { Command, isPerCpuType, mapTypeName } from './kernel-constants.ts';
import { layoutsCompatible, layoutText } from './layout.ts';
import { LayoutMismatchError } from './layout-mismatch-error.ts';
import type { BpfMap } from './map.ts';
import { openById, readObjectInfo } from './object-info.ts';
import { perCpuValueBytes } from './per-cpu.ts';
import type { MapDescriptor, MapSpec, ObjectSpec } from './spec.ts';

/** What of a descriptor is compared; a descriptor of any rows is one. */
export type MapLayout = Omit<MapDescriptor<unknown, unknown>, 'key' | 'value'>;

/**
 * Compares a map in the kernel with what the descriptor says. Another version of us may have pinned it: fields may
 * stand where this one has reserved room, and the other way round.
 */
export function checkMapLayout<K, V>(map: BpfMap, descriptor: MapDescriptor<K, V>): void {
  const { info } = map;
  compareShapes(info, descriptor);
  const userBytes = isPerCpuType(info.type) ? perCpuValueBytes(info.valueSize) : info.valueSize;
  if (userBytes !== descriptor.value.size || info.keySize !== descriptor.key.size) {
    const perCpuHint = isPerCpuType(info.type) ? '; a per-CPU map is opened with perCpu(descriptor)' : '';
    throw new LayoutMismatchError({
      map: descriptor.name,
      expected: `codecs of ${descriptor.key.size} and ${descriptor.value.size} bytes${perCpuHint}`,
      actual: `rows of ${info.keySize} and ${userBytes} bytes`,
    });
  }
  const btf = readMapBtf(map);
  if (btf !== undefined) compareTexts(btf, info, { ...descriptor, same: layoutsCompatible });
}

/** Compares a compiled object with what was generated from it, before anything is loaded. */
export function checkObjectLayout(spec: ObjectSpec, descriptors: Iterable<MapLayout>): void {
  for (const descriptor of descriptors) {
    const map = spec.maps.find((candidate) => candidate.name === descriptor.name);
    if (map === undefined) continue;
    compareShapes(map, descriptor);
    compareTexts(spec.btf, map, { ...descriptor, same: (left, right) => left === right });
  }
}

/**
 * Whether a map can stand in for the one that an object describes. Its size may be another: a hash of an earlier version
 * keeps its rows and works as it is, while programs are verified against the bounds of the array that they get.
 */
export function checkReusedMap(map: BpfMap, spec: MapSpec): void {
  const shape = (of: MapShape) => `${shapeText(of)}, flags 0x${of.flags.toString(16)}`;
  const [expected, actual] = [shape(spec), shape(map.info)];
  if (expected !== actual) throw new LayoutMismatchError({ map: spec.name, expected, actual });
}

type MapShape = Pick<MapSpec, 'type' | 'keySize' | 'valueSize' | 'flags'>;

function compareShapes(actual: MapShape, descriptor: AnyShape): void {
  const [expectedText, actualText] = [shapeText(descriptor), shapeText(actual)];
  if (expectedText === actualText) return;
  throw new LayoutMismatchError({ map: descriptor.name, expected: expectedText, actual: actualText });
}

type AnyShape = MapShape & { readonly name: string };

function shapeText(shape: Pick<MapShape, 'type' | 'keySize' | 'valueSize'>): string {
  return `${mapTypeName(shape.type)}, key ${shape.keySize} bytes, value ${shape.valueSize} bytes`;
}

interface TypeIds {
  readonly keyTypeId: number;
  readonly valueTypeId: number;
}

interface LayoutTexts {
  readonly same: (left: string, right: string) => boolean;
  readonly name: string;
  readonly keyLayout: string;
  readonly valueLayout: string;
}

function compareTexts(btf: Btf, ids: TypeIds, descriptor: LayoutTexts): void {
  compareText(btf, ids.keyTypeId, {
    map: `${descriptor.name} (key)`,
    expected: descriptor.keyLayout,
    same: descriptor.same,
  });
  compareText(btf, ids.valueTypeId, {
    map: `${descriptor.name} (value)`,
    expected: descriptor.valueLayout,
    same: descriptor.same,
  });
}

function compareText(
  btf: Btf,
  typeId: number,
  subject: { map: string; expected: string; same: LayoutTexts['same'] },
): void {
  if (typeId === 0 || subject.expected === '') return;
  const actual = layoutText(btf, typeId);
  const { map, expected } = subject;
  if (!subject.same(actual, expected)) throw new LayoutMismatchError({ map, expected, actual });
}

/** The types that the map was created with, from the kernel's own copy. */
export function readMapBtf(map: BpfMap): Btf | undefined {
  if (map.info.btfId === 0) return undefined;
  const fd = openById(Command.btfGetFdById, map.info.btfId);
  try {
    const sizes = new Attributes(32);
    readObjectInfo(fd, sizes);
    const bytes = new Uint8Array(sizes.getU32(8));
    readObjectInfo(fd, new Attributes(32).pointer(0, bytes).u32(8, bytes.byteLength));
    return parseBtf(bytes, `BTF of map ${map.info.name}`);
  } finally {
    close(fd);
  }
}
