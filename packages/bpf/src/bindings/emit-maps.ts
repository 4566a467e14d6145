import type { ConfigurationField, MapDeclaration } from './declarations.ts';
import { camelCase } from './names.ts';
import { codecText, type Externals, typeText } from './value-type.ts';

export function emitMap(declaration: MapDeclaration, externals: Externals): string {
  const { map, key, value } = declaration;
  const types = [key, value].map((type) => (type === undefined ? 'undefined' : typeText(type, externals)));
  const codecs = [key, value].map((type) => (type === undefined ? 'nothingCodec' : codecText(type, externals)));
  return [
    `export const ${camelCase(map.name)}Map: MapDescriptor<${types.join(', ')}> = {`,
    `  name: '${map.name}',`,
    `  type: ${map.type},`,
    `  keySize: ${map.keySize},`,
    `  valueSize: ${map.valueSize},`,
    `  maxEntries: ${map.maxEntries},`,
    `  flags: ${map.flags},`,
    `  key: ${codecs[0]},`,
    `  value: ${codecs[1]},`,
    `  keyLayout: ${layoutLiteral(declaration.keyLayout)},`,
    `  valueLayout: ${layoutLiteral(declaration.valueLayout)},`,
    '};',
    '',
  ].join('\n');
}

export function emitMapTable(maps: readonly MapDeclaration[]): string {
  return [
    '/** All of them, by the name in C. */',
    'export const mapDescriptors = {',
    ...maps.map(({ map }) => `  ${map.name}: ${camelCase(map.name)}Map,`),
    '} as const;',
    '',
  ].join('\n');
}

/** Constants that the loader writes before the verifier sees the program. */
export function emitConfiguration(
  fields: readonly ConfigurationField[],
  options: { readonly prefix: string; readonly externals: Externals },
): string {
  const { prefix, externals } = options;
  const member = (field: ConfigurationField) => camelCase(field.variable.slice(prefix.length));
  return [
    'export interface Configuration {',
    ...fields.map((field) => `  readonly ${member(field)}: ${typeText(field.type, externals)};`),
    '}',
    '',
    '/** By the variable in C; the bytes for its place in `.rodata`. */',
    'export function encodeConfiguration(configuration: Configuration): Record<string, Uint8Array> {',
    '  return {',
    ...fields.map((field) => {
      const codec = codecText(field.type, externals);
      return `    ${field.variable}: encodeValue(${codec}, configuration.${member(field)}),`;
    }),
    '  };',
    '}',
    '',
  ].join('\n');
}

function layoutLiteral(layout: string): string {
  return layout.includes('\n') ? `\`${layout}\`` : `'${layout}'`;
}
