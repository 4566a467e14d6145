import type { Field, StructDeclaration } from './declarations.ts';
import { camelCase, pascalCase } from './names.ts';
import { codecText, type Externals, isArray, typeText, type ValueType } from './value-type.ts';

/** An interface and a codec. */
export function emitStruct(struct: StructDeclaration, externals: Externals): string {
  const type = pascalCase(struct.name);
  const codec = `${camelCase(struct.name)}Codec`;
  const named = struct.fields.filter((field) => !field.reserved);
  const members = named.map((field) => `  readonly ${camelCase(field.name)}: ${typeText(field.type, externals)};`);
  const arrays = named.flatMap((field) => {
    if (!isArray(field.type)) return [];
    return [`const ${fieldCodec(struct, field)} = ${codecText(field.type, externals)};`];
  });
  const encodes = struct.fields.map((field) => `    ${encodeField(struct, field, externals)}`);
  const decodes = named.map((field) => `      ${camelCase(field.name)}: ${decodeField(struct, field, externals)},`);
  return [
    `/** struct ${struct.name} */`,
    `export interface ${type} {`,
    ...members,
    '}',
    '',
    ...(arrays.length === 0 ? [] : [...arrays, '']),
    `export const ${codec}: Codec<${type}> = {`,
    `  size: ${struct.size},`,
    '  encode(value, view, offset) {',
    ...encodes,
    '  },',
    '  decode(view, offset) {',
    '    return {',
    ...decodes,
    '    };',
    '  },',
    '};',
    '',
  ].join('\n');
}

function encodeField(struct: StructDeclaration, field: Field, externals: Externals): string {
  const at = position(field.offset);
  const value = `value.${camelCase(field.name)}`;
  if (field.reserved) return `zeroBytes(view, ${at}, ${field.type.size});`;
  if (field.type.kind === 'scalar' && field.type.accessor !== undefined) {
    return `view.set${field.type.accessor}(${at}, ${value}${littleEndian(field.type)});`;
  }
  return `${codecOf(struct, field, externals)}.encode(${value}, view, ${at});`;
}

function decodeField(struct: StructDeclaration, field: Field, externals: Externals): string {
  const at = position(field.offset);
  if (field.type.kind === 'scalar' && field.type.accessor !== undefined) {
    return `view.get${field.type.accessor}(${at}${littleEndian(field.type)})`;
  }
  return `${codecOf(struct, field, externals)}.decode(view, ${at})`;
}

function codecOf(struct: StructDeclaration, field: Field, externals: Externals): string {
  return isArray(field.type) ? fieldCodec(struct, field) : codecText(field.type, externals);
}

function fieldCodec(struct: StructDeclaration, field: Field): string {
  return `${camelCase(`${struct.name}_${field.name}`)}Codec`;
}

function littleEndian(type: ValueType): string {
  return type.size === 1 || (type.kind === 'scalar' && type.bigEndian) ? '' : ', true';
}

function position(offset: number): string {
  return offset === 0 ? 'offset' : `offset + ${offset}`;
}
