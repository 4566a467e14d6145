/** Writes the TypeScript side of a set of objects: structs, enums, maps and configuration, each into a file. */
import type { ObjectSpec } from '../spec.ts';
import { collectDeclarations, type DeclarationOptions } from './declarations.ts';
import { emitEnum } from './emit-enums.ts';
import { emitConfiguration, emitMap, emitMapTable } from './emit-maps.ts';
import { emitStruct } from './emit-structs.ts';
import { camelCase, pascalCase } from './names.ts';
import type { Externals } from './value-type.ts';

export interface BindingOptions extends DeclarationOptions {
  /** How to make the files anew; stands on top of each. */
  readonly command: string;
  /** Module specifier of this library. */
  readonly library: string;
}

const LIBRARY_TYPES = ['Codec', 'MapDescriptor'];
const LIBRARY_VALUES = [
  ...['be16Codec', 'be32Codec', 'be64Codec', 'boolCodec', 'i16Codec', 'i32Codec', 'i64Codec', 'i8Codec'],
  ...['u16Codec', 'u32Codec', 'u64Codec', 'u8Codec'],
  ...['arrayCodec', 'bytesCodec', 'encodeValue', 'nothingCodec', 'wordsCodec', 'zeroBytes'],
];

/** File names and texts; the same objects always give the same texts. Throws BindingError for what cannot be bound. */
export function generateBindings(objects: readonly ObjectSpec[], options: BindingOptions): Map<string, string> {
  const { externals } = options;
  const declarations = collectDeclarations(objects, options);
  const structs = declarations.structs.map((struct) => emitStruct(struct, externals)).join('\n');
  const maps = [
    ...declarations.maps.map((declaration) => emitMap(declaration, externals)),
    emitMapTable(declarations.maps),
  ].join('\n');
  const configuration = emitConfiguration(declarations.configuration, {
    prefix: options.configurationPrefix,
    externals,
  });
  const enums = declarations.enums
    .map((declared) => emitEnum(declared, { codec: uses(structs + maps, declared) }))
    .join('\n');

  const enumNames = {
    from: './enums.ts',
    types: declarations.enums.map(({ name }) => pascalCase(name)),
    values: declarations.enums.map(({ name }) => `${camelCase(name)}Codec`),
  };
  const structNames = {
    from: './structs.ts',
    types: declarations.structs.map(({ name }) => pascalCase(name)),
    values: declarations.structs.map(({ name }) => `${camelCase(name)}Codec`),
  };
  const outside = [
    { from: options.library, types: LIBRARY_TYPES, values: LIBRARY_VALUES },
    ...externalNames(externals),
  ];
  const file = (body: string, sources: readonly ImportSource[]) =>
    [`// Generated from bpf/ by "${options.command}": do not edit.`, ...imports(body, sources), '', body].join('\n');
  return new Map([
    ['configuration.ts', file(configuration, [...outside, enumNames, structNames])],
    ['enums.ts', file(enums, outside)],
    [
      'index.ts',
      file(['configuration', 'enums', 'maps', 'structs'].map((name) => `export * from './${name}.ts';\n`).join(''), []),
    ],
    ['maps.ts', file(maps, [...outside, enumNames, structNames])],
    ['structs.ts', file(structs, [...outside, enumNames])],
  ]);
}

/** Most enums are constants for fields of one byte, and need no codec. */
function uses(body: string, declared: { readonly name: string }): boolean {
  return new RegExp(`\\b${camelCase(declared.name)}Codec\\b`).test(body);
}

interface ImportSource {
  readonly from: string;
  readonly types: readonly string[];
  readonly values: readonly string[];
}

function externalNames(externals: Externals): ImportSource[] {
  const sources = Map.groupBy(Object.values(externals), ({ from }) => from);
  return [...sources].map(([from, group]) => ({
    from,
    types: group.map(({ typeName }) => typeName),
    values: group.map(({ codec }) => codec),
  }));
}

/** Imports of the names that the text uses. */
function imports(body: string, sources: readonly ImportSource[]): string[] {
  const used = (name: string) => new RegExp(`\\b${name}\\b`).test(body);
  return sources.flatMap(({ from, types, values }) => {
    const names = [...types.filter(used).map((name) => `type ${name}`), ...values.filter(used)];
    return names.length === 0 ? [] : [`import { ${[...new Set(names)].sort(byBareName).join(', ')} } from '${from}';`];
  });
}

function byBareName(left: string, right: string): number {
  return left.replace('type ', '') < right.replace('type ', '') ? -1 : 1;
}
