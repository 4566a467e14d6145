/** Collects what is to be bound from all objects, and refuses what differs between two of them. */
import type { Btf } from '../btf.ts';
import type { BtfComposite, BtfEnum } from '../btf-type.ts';
import { isReserved, layoutText } from '../layout.ts';
import type { MapSpec, ObjectSpec } from '../spec.ts';
import { BindingError } from './binding-error.ts';
import { type Externals, enumWithin, structWithin, type ValueType, valueType } from './value-type.ts';

export interface Field {
  readonly name: string;
  readonly offset: number;
  readonly type: ValueType;
  readonly reserved: boolean;
}

export interface StructDeclaration {
  readonly name: string;
  readonly size: number;
  readonly fields: readonly Field[];
}

export interface MapDeclaration {
  readonly map: MapSpec;
  /** Undefined where the map has none. */
  readonly key: ValueType | undefined;
  readonly value: ValueType | undefined;
  readonly keyLayout: string;
  readonly valueLayout: string;
}

export interface ConfigurationField {
  /** In C, with the prefix. */
  readonly variable: string;
  readonly type: ValueType;
}

export interface Declarations {
  /** A struct stands behind those that it holds. */
  readonly structs: readonly StructDeclaration[];
  readonly enums: readonly BtfEnum[];
  readonly maps: readonly MapDeclaration[];
  readonly configuration: readonly ConfigurationField[];
}

export interface DeclarationOptions {
  readonly externals: Externals;
  /** Variables that exist only to carry their type into BTF. */
  readonly contractPrefix: string;
  /** `const volatile` variables that the loader sets. */
  readonly configurationPrefix: string;
}

/** Throws BindingError. */
export function collectDeclarations(objects: readonly ObjectSpec[], options: DeclarationOptions): Declarations {
  const collector = new Collector(options.externals);
  for (const object of objects) {
    for (const map of object.maps) collector.addMap(object, map);
    for (const variable of object.variables) {
      const type = () => valueType(object.btf, variable.typeId, variable.name);
      if (variable.name.startsWith(options.contractPrefix)) collector.addType(object.btf, type());
      if (variable.section === '.rodata' && variable.name.startsWith(options.configurationPrefix)) {
        collector.addConfiguration(object.btf, { variable: variable.name, type: type() });
      }
    }
  }
  return collector.result();
}

class Collector {
  readonly #externals: Externals;
  readonly #structs = new Map<string, StructDeclaration>();
  readonly #enums = new Map<string, BtfEnum>();
  readonly #maps = new Map<string, MapDeclaration>();
  readonly #configuration = new Map<string, ConfigurationField>();
  /** Text that two objects must agree on, and who said it first. */
  readonly #firsts = new Map<string, { readonly text: string; readonly object: string }>();

  constructor(externals: Externals) {
    this.#externals = externals;
  }

  addMap({ btf }: ObjectSpec, map: MapSpec): void {
    const part = (what: 'key' | 'value', typeId: number) =>
      typeId === 0 ? undefined : valueType(btf, typeId, `${what} of map ${map.name}`);
    const declaration: MapDeclaration = {
      map,
      key: part('key', map.keyTypeId),
      value: part('value', map.valueTypeId),
      keyLayout: map.keyTypeId === 0 ? '' : layoutText(btf, map.keyTypeId),
      valueLayout: map.valueTypeId === 0 ? '' : layoutText(btf, map.valueTypeId),
    };
    const { keyTypeId: _key, valueTypeId: _value, ...shape } = map;
    const text = [JSON.stringify(shape), declaration.keyLayout, declaration.valueLayout].join('\n');
    if (!this.#isFirst(btf, { declaration: `map ${map.name}`, text })) return;
    if (declaration.key !== undefined) this.addType(btf, declaration.key);
    if (declaration.value !== undefined) this.addType(btf, declaration.value);
    this.#maps.set(map.name, declaration);
  }

  addConfiguration(btf: Btf, field: ConfigurationField): void {
    if (!this.#isFirst(btf, { declaration: field.variable, text: JSON.stringify(field.type, withoutIds) })) return;
    this.addType(btf, field.type);
    this.#configuration.set(field.variable, field);
  }

  addType(btf: Btf, type: ValueType): void {
    const inner = enumWithin(type);
    if (inner !== undefined) this.#addEnum(btf, inner);
    const struct = structWithin(type);
    if (struct !== undefined && this.#externals[struct.name] === undefined) this.#addStruct(btf, struct);
  }

  result(): Declarations {
    return {
      structs: [...this.#structs.values()],
      enums: sorted(this.#enums),
      maps: sorted(this.#maps),
      configuration: sorted(this.#configuration),
    };
  }

  #addStruct(btf: Btf, struct: BtfComposite): void {
    const declaration = `struct ${struct.name}`;
    if (!this.#isFirst(btf, { declaration, text: layoutText(btf, struct.id) })) return;
    const fields = readFields(btf, struct);
    for (const field of fields) this.addType(btf, field.type);
    this.#structs.set(struct.name, { name: struct.name, size: struct.size, fields });
  }

  #addEnum(btf: Btf, declared: BtfEnum): void {
    const text = declared.values.map(({ name, value }) => `${name} = ${value}`).join('\n');
    if (this.#isFirst(btf, { declaration: `enum ${declared.name}`, text })) this.#enums.set(declared.name, declared);
  }

  #isFirst(btf: Btf, said: { declaration: string; text: string }): boolean {
    const first = this.#firsts.get(said.declaration);
    if (first === undefined) {
      this.#firsts.set(said.declaration, { text: said.text, object: btf.name });
      return true;
    }
    if (first.text === said.text) return false;
    const problem = `differs from ${first.object}, was a header changed between the builds?\n${first.text}\n${said.text}`;
    throw new BindingError(btf.name, said.declaration, problem);
  }
}

/** Fields in order; refuses what the compiler filled in or packed. */
function readFields(btf: Btf, struct: BtfComposite): Field[] {
  let end = 0;
  const fields = struct.members.map((member) => {
    const declaration = `struct ${struct.name}.${member.name}`;
    const refuse = (problem: string) => new BindingError(btf.name, declaration, problem);
    if (member.name === '') throw refuse('anonymous members are not supported');
    if (member.bitfieldSize !== 0 || member.bitOffset % 8 !== 0) throw refuse('bitfields have no portable layout');
    const offset = member.bitOffset / 8;
    const type = valueType(btf, member.typeId, declaration);
    if (offset !== end) throw refuse(`${offset - end} bytes of padding before it: name them reserved`);
    end = offset + type.size;
    return { name: member.name, offset, type, reserved: isReserved(member.name) };
  });
  if (end === struct.size) return fields;
  throw new BindingError(btf.name, `struct ${struct.name}`, `${struct.size - end} bytes of padding at its end`);
}

/** Ids differ between objects. */
function withoutIds(key: string, value: unknown): unknown {
  if (key === 'id' || key === 'typeId') return undefined;
  return typeof value === 'bigint' ? String(value) : value;
}

function sorted<T>(byName: ReadonlyMap<string, T>): T[] {
  return [...byName].sort(([left], [right]) => (left < right ? -1 : 1)).map(([, value]) => value);
}
