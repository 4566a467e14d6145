import kinds from '../generated/kinds.json' with { type: 'json' };

/** One field of a Kubernetes type. */
export interface FieldSchema {
  /** `string`, `integer`, `boolean`, `number`, `time`, `bytes`, `quantity`, `intOrString`, `any`, a type name such as
   * `core.v1.PodSpec`; with prefixes `[]` for lists and `map:` for maps of it. */
  type: string;
  doc?: string;
  /** Strategic merge: the key by which list elements are matched; empty for lists of scalars, which are united. */
  merge?: string;
  retainKeys?: boolean;
  /** Server-side apply: the keys that identify a list element. */
  listKeys?: string[];
}

export interface TypeSchema {
  doc?: string;
  required?: string[];
  fields: Record<string, FieldSchema>;
}

/** Every type reachable from the built-in kinds, by short name, e.g. `core.v1.Pod`. */
export const typeSchemas: Readonly<Record<string, TypeSchema>> = kinds;
