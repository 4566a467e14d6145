/** A part of a JSON Schema (draft 7, which every Helm knows). */
export type JsonSchema = boolean | { readonly [keyword: string]: unknown };
