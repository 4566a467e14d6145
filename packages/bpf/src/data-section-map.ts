import { Attributes } from './attributes.ts';
import { Command, MapFlag, MapType } from './kernel-constants.ts';
import { BpfMap } from './map.ts';
import type { DataSectionSpec, ObjectSpec, VariableSpec } from './spec.ts';

/** An array of one element that holds a section; read-only ones are frozen, so that the verifier knows the values. */
export function createDataSectionMap(section: DataSectionSpec, btfFd: number): BpfMap {
  using stack = new DisposableStack();
  const map = stack.use(
    BpfMap.create(
      {
        name: section.name,
        type: MapType.array,
        keySize: 4,
        valueSize: section.data.byteLength,
        maxEntries: 1,
        flags: section.readOnly ? MapFlag.readOnlyForPrograms : 0,
        valueTypeId: section.typeId,
      },
      btfFd,
    ),
  );
  const write = new Attributes(32).u32(0, map.fd).pointer(8, new Uint8Array(4)).pointer(16, section.data);
  write.call(Command.mapUpdateElem, `fill map ${section.name}`);
  if (section.readOnly) map.freeze();
  stack.move();
  return map;
}

export type Configuration = Readonly<Record<string, Uint8Array | number>>;

/** Contents of the sections that configuration changes. A name that no variable has is refused, as is a wrong size. */
export function configuredSections(spec: ObjectSpec, configuration: Configuration): Map<string, Uint8Array> {
  const contents = new Map<string, Uint8Array>();
  for (const [name, value] of Object.entries(configuration)) {
    const variable = spec.variables.find((candidate) => candidate.name === name);
    const section = spec.dataSections.find((candidate) => candidate.name === variable?.section);
    if (variable === undefined || section === undefined) {
      throw new TypeError(`object ${spec.name} has no variable ${name}`);
    }
    const data = contents.get(section.name) ?? Uint8Array.from(section.data);
    data.set(valueBytes(variable, value), variable.offset);
    contents.set(section.name, data);
  }
  return contents;
}

function valueBytes(variable: VariableSpec, value: Uint8Array | number): Uint8Array {
  const bytes = typeof value === 'number' ? numberBytes(variable, value) : value;
  if (bytes.byteLength === variable.size) return bytes;
  throw new RangeError(`variable ${variable.name} takes ${variable.size} bytes, not ${bytes.byteLength}`);
}

function numberBytes(variable: VariableSpec, value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, BigInt(value), true);
  // What is cut off must have been nothing but the sign.
  const bits = variable.size * 8;
  if (BigInt.asUintN(bits, BigInt(value)) !== BigInt(value) && BigInt.asIntN(bits, BigInt(value)) !== BigInt(value)) {
    throw new RangeError(`variable ${variable.name} of ${variable.size} bytes cannot hold ${value}`);
  }
  return bytes.subarray(0, variable.size);
}
