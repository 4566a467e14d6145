import type { JsonSchema } from '../json-schema.ts';
import { lackedOptions } from '../lacked.ts';
import { type Option, optionPaths, options } from '../options.ts';
import { chartOptions } from './chart-options.ts';

/** What a name in the values may be: itself, or a map of names. */
interface Place {
  schema?: JsonSchema;
  /** Whether names below it that nobody knows are taken, as the incumbent's that we lack. */
  open: boolean;
  readonly below: Map<string, Place>;
}

/**
 * charts/sluice/values.schema.json: what Helm refuses before anything is sent. It takes what the agents take, with a warning
 * or without; what only the agents can tell (a prefix with bits behind it, two options that do not go together) they refuse.
 */
export function valuesSchema(): string {
  const root = place();
  for (const path of Object.keys(lackedOptions)) placeAt(root, path).open = true;
  for (const path of optionPaths) placeAt(root, path).schema = optionSchema(options[path]);
  for (const [path, { schema, sentence }] of Object.entries(chartOptions))
    placeAt(root, path).schema = described(schema, sentence);
  const schema = { $schema: 'http://json-schema.org/draft-07/schema#', title: 'Values of Sluice', ...mapSchema(root) };
  return `${JSON.stringify(schema, null, 2)}\n`;
}

function place(): Place {
  return { open: false, below: new Map() };
}

function placeAt(root: Place, path: string): Place {
  return path.split('.').reduce((parent, name) => {
    const child = parent.below.get(name) ?? place();
    parent.below.set(name, child);
    return child;
  }, root);
}

function optionSchema({ type, sentence, unsupported }: Option<unknown>): JsonSchema {
  const words = Object.keys(unsupported ?? {});
  const schema = words.length === 0 ? type.schema : { anyOf: [type.schema, { enum: words }] };
  return described(schema, `${sentence} It is ${type.description}.`);
}

function described(schema: JsonSchema, description: string): JsonSchema {
  return typeof schema === 'boolean' ? schema : { description, ...orNull(schema) };
}

/** Null is the default everywhere, as Helm has it. */
function orNull(schema: Exclude<JsonSchema, boolean>): Exclude<JsonSchema, boolean> {
  if (typeof schema.type === 'string') return { ...schema, type: [schema.type, 'null'] };
  if (Array.isArray(schema.enum)) return { ...schema, enum: [...schema.enum, null] };
  if (Array.isArray(schema.anyOf)) return { ...schema, anyOf: [...schema.anyOf, { type: 'null' }] };
  throw new Error(`cannot say that ${JSON.stringify(schema)} may be null`);
}

function placeSchema(each: Place): JsonSchema {
  if (each.schema !== undefined) return each.schema;
  return each.below.size === 0 ? each.open : mapSchema(each);
}

function mapSchema({ open, below }: Place) {
  const properties = Object.fromEntries([...below].map(([name, child]) => [name, placeSchema(child)]));
  return { type: ['object', 'null'], additionalProperties: open, properties };
}
