import type { BtfEnum, BtfEnumValue } from '../btf-type.ts';
import { camelCase, pascalCase } from './names.ts';

/** Constants, their union type, their names and, if wanted, a codec. A final `…_MAX`, which counts, is left out. */
export function emitEnum(declared: BtfEnum, options: { readonly codec: boolean }): string {
  const prefix = `${declared.name.toUpperCase()}_`;
  const bare = ({ name }: BtfEnumValue) => (name.startsWith(prefix) ? name.slice(prefix.length) : name);
  const values = declared.values.filter((value) => bare(value) !== 'MAX');
  const type = pascalCase(declared.name);
  const camel = camelCase(declared.name);
  return [
    `/** enum ${declared.name} */`,
    `export const ${type} = {`,
    ...values.map((value) => `  ${pascalCase(bare(value))}: ${value.value},`),
    '} as const;',
    `export type ${type} = (typeof ${type})[keyof typeof ${type}];`,
    '',
    `export const ${camel}Names: Readonly<Record<${type}, string>> = {`,
    ...values.map((value) => `  ${value.value}: '${bare(value).toLowerCase()}',`),
    '};',
    '',
    ...(options.codec ? [`export const ${camel}Codec = u${declared.size * 8}Codec as Codec<${type}>;`, ''] : []),
  ].join('\n');
}
