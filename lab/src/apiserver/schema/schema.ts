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
  /** Field number in protobuf. */
  number?: number;
  /** A pointer in Go: a zero that was sent is meant. Others drop their zero values, as `omitempty` does. */
  pointer?: true;
  /** Server-side apply: the keys that identify a list element. */
  listKeys?: string[];
  /** Server-side apply: a list of scalars, each of which has an owner. */
  set?: true;
  /** Server-side apply: a struct or a map that has one owner as a whole. */
  atomic?: true;
}

export interface TypeSchema {
  doc?: string;
  required?: string[];
  /** Server-side apply: has one owner as a whole, wherever it stands. */
  atomic?: true;
  fields: Record<string, FieldSchema>;
  /** Types whose fields lie among ours in JSON but in a message of their own in protobuf, by field number. */
  inlined?: Record<string, string>;
}

/** Every type reachable from the built-in kinds, by short name, e.g. `core.v1.Pod`. */
// The generator writes it as these types; TypeScript infers a union too narrow to see that.
export const typeSchemas = kinds as unknown as Readonly<Record<string, TypeSchema>>;
