/**
 * Writes ../generated/kinds.json: fields, types, merge keys and first sentences of the kinds we serve, read from the Go sources.
 *   go mod download k8s.io/api@v0.35.0 k8s.io/apimachinery@v0.35.0
 *   node lab/src/apiserver/schema/generate.ts "$(go env GOMODCACHE)"
 */
import { readFileSync, writeFileSync } from 'node:fs';
import type { FieldSchema, TypeSchema } from './schema.ts';

const version = 'v0.35.0';

const sources: Record<string, string> = {
  'core.v1': 'api@/core/v1',
  'apps.v1': 'api@/apps/v1',
  'discovery.v1': 'api@/discovery/v1',
  'coordination.v1': 'api@/coordination/v1',
  'networking.v1': 'api@/networking/v1',
  'rbac.v1': 'api@/rbac/v1',
  'events.v1': 'api@/events/v1',
  'meta.v1': 'apimachinery@/pkg/apis/meta/v1',
};

const roots = [
  ...['Namespace', 'Pod', 'Service', 'Node', 'ConfigMap', 'Secret', 'ServiceAccount', 'Event'].map(
    (k) => `core.v1.${k}`,
  ),
  ...['Deployment', 'ReplicaSet', 'DaemonSet', 'ControllerRevision'].map((k) => `apps.v1.${k}`),
  ...['ServiceCIDR', 'NetworkPolicy'].map((k) => `networking.v1.${k}`),
  ...['Role', 'RoleBinding', 'ClusterRole', 'ClusterRoleBinding'].map((k) => `rbac.v1.${k}`),
  ...[
    'discovery.v1.EndpointSlice',
    'coordination.v1.Lease',
    'events.v1.Event',
    'meta.v1.ObjectMeta',
    'meta.v1.DeleteOptions',
  ],
];

const scalars: Record<string, string> = {
  string: 'string',
  bool: 'boolean',
  int32: 'integer',
  int64: 'integer',
  int: 'integer',
  uint32: 'integer',
  float64: 'number',
  'intstr.IntOrString': 'intOrString',
  'resource.Quantity': 'quantity',
  'metav1.Time': 'time',
  Time: 'time',
  'metav1.MicroTime': 'time',
  MicroTime: 'time',
  'metav1.Duration': 'string',
  '[]byte': 'bytes',
  'types.UID': 'string',
  'runtime.RawExtension': 'any',
  FieldsV1: 'any',
  'metav1.FieldsV1': 'any',
};

function main(moduleCache: string): void {
  const parsed: Record<string, GoType> = {};
  for (const [prefix, place] of Object.entries(sources)) {
    const [module, folder] = place.split('@');
    const text = readFileSync(`${moduleCache}/k8s.io/${module}@${version}${folder}/types.go`, 'utf8');
    for (const type of parseTypes(text)) parsed[`${prefix}.${type.name}`] = type;
  }
  const types: Record<string, TypeSchema> = {};
  const pending = [...roots];
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (types[name]) continue;
    const schema = toSchema(name, parsed);
    types[name] = schema;
    for (const field of Object.values(schema.fields)) {
      const target = field.type.replace(/^(\[\]|map:)+/, '');
      if (target.includes('.')) pending.push(target);
    }
    pending.push(...Object.values(schema.inlined ?? {}));
  }
  const sorted = Object.fromEntries(Object.entries(types).sort(([a], [b]) => (a < b ? -1 : 1)));
  const lines = Object.entries(sorted).map(([name, schema]) => `${JSON.stringify(name)}: ${JSON.stringify(schema)}`);
  writeFileSync(new URL('../generated/kinds.json', import.meta.url), `{\n${lines.join(',\n')}\n}\n`);
}

interface GoType {
  name: string;
  doc: string;
  atomic: boolean;
  /** Of `type X string`: what it is underneath. */
  underlying?: string;
  fields: { goName: string; goType: string; json: string; tag: string; comment: string[] }[];
}

function parseTypes(text: string): GoType[] {
  const types: GoType[] = [];
  let comment: string[] = [];
  let current: GoType | undefined;
  for (const line of text.split('\n')) {
    const trimmed = line.trim();
    if (trimmed.startsWith('//')) {
      comment.push(trimmed.replace(/^\/\/ ?/, ''));
      continue;
    }
    const struct = /^type (\w+) struct \{(\})?/.exec(line);
    const alias = /^type (\w+) (\S+)/.exec(line);
    const field = /^\t(?:(\w+)\s+)?(\S+)\s+`(.*)`/.exec(line);
    if (struct) {
      current = { name: struct[1] ?? '', doc: sentence(comment), atomic: isAtomic(comment), fields: [] };
      types.push(current);
    } else if (alias) {
      types.push({ name: alias[1] ?? '', doc: '', atomic: false, underlying: alias[2] ?? '', fields: [] });
    } else if (line.startsWith('}')) current = undefined;
    else if (current && field) {
      const json = /json:"([^"]*)"/.exec(field[3] ?? '')?.[1] ?? '';
      current.fields.push({ goName: field[1] ?? '', goType: field[2] ?? '', json, tag: field[3] ?? '', comment });
    }
    comment = [];
  }
  return types;
}

function toSchema(name: string, parsed: Record<string, GoType>): TypeSchema {
  const go = parsed[name];
  if (!go) throw new Error(`${name} is in none of the sources`);
  const prefix = name.slice(0, name.lastIndexOf('.'));
  const fields: Record<string, FieldSchema> = {};
  const required: string[] = [];
  const inlinedTypes: Record<number, string> = {};
  for (const field of go.fields) {
    const [jsonName = '', ...flags] = field.json.split(',');
    if (jsonName === '-') continue;
    if (jsonName === '') {
      const inlined = typeName(field.goType, prefix);
      if (inlined === 'meta.v1.TypeMeta') {
        fields.apiVersion = { type: 'string', doc: 'Version of the schema of this object.' };
        fields.kind = { type: 'string', doc: 'The kind of this object.' };
      } else {
        const inner = toSchema(inlined, parsed);
        const number = protobufNumber(field.tag);
        if (number !== undefined) inlinedTypes[number] = inlined;
        // Numbers of inlined fields belong to the inner message.
        for (const [innerName, innerField] of Object.entries(inner.fields)) {
          const { number: _, ...rest } = innerField;
          fields[innerName] = rest;
        }
      }
      continue;
    }
    const schema: FieldSchema = { type: fieldType(field.goType, prefix, parsed) };
    const doc = sentence(field.comment);
    if (doc) schema.doc = doc;
    const number = protobufNumber(field.tag);
    if (number !== undefined) schema.number = number;
    if (field.goType.startsWith('*')) schema.pointer = true;
    const mergeKey = /patchMergeKey:"(\w+)"/.exec(field.tag)?.[1];
    if (/patchStrategy:"merge/.test(field.tag)) schema.merge = mergeKey ?? '';
    if (/patchStrategy:"[^"]*retainKeys/.test(field.tag)) schema.retainKeys = true;
    const listKeys = field.comment.filter((line) => line.startsWith('+listMapKey=')).map((line) => line.slice(12));
    if (listKeys.length > 0) schema.listKeys = listKeys;
    if (field.comment.includes('+listType=set')) schema.set = true;
    if (isAtomic(field.comment)) schema.atomic = true;
    fields[jsonName] = schema;
    if (
      !flags.includes('omitempty') &&
      !flags.includes('omitzero') &&
      !field.comment.some((l) => l.startsWith('+optional'))
    )
      required.push(jsonName);
  }
  return {
    ...(go.doc && { doc: go.doc }),
    ...(required.length > 0 && { required }),
    ...(go.atomic && { atomic: true as const }),
    fields,
    ...(Object.keys(inlinedTypes).length > 0 && { inlined: inlinedTypes }),
  };
}

/** Of structs and maps; lists are atomic unless something says otherwise. */
function isAtomic(comment: readonly string[]): boolean {
  return comment.includes('+structType=atomic') || comment.includes('+mapType=atomic');
}

function protobufNumber(tag: string): number | undefined {
  const text = /protobuf:"\w+,(\d+)/.exec(tag)?.[1];
  return text === undefined ? undefined : Number(text);
}

function fieldType(goType: string, prefix: string, parsed: Record<string, GoType>): string {
  const type = goType.replace(/^\*/, '');
  const scalar = scalars[type];
  if (scalar) return scalar;
  if (type.startsWith('[]')) return `[]${fieldType(type.slice(2), prefix, parsed)}`;
  const map = /^map\[\w+\](.*)$/.exec(type);
  if (map) return `map:${fieldType(map[1] ?? '', prefix, parsed)}`;
  const name = typeName(type, prefix);
  const go = parsed[name];
  if (go?.underlying) return fieldType(go.underlying, name.slice(0, name.lastIndexOf('.')), parsed);
  return name;
}

function typeName(goType: string, prefix: string): string {
  const type = goType.replace(/^\*/, '');
  const [group, local] = type.includes('.') ? type.split('.') : ['', type];
  if (group === '') return `${prefix}.${local}`;
  return `${group === 'metav1' ? 'meta.v1' : group === 'v1' ? 'core.v1' : group === 'corev1' ? 'core.v1' : group}.${local}`;
}

/** The first sentence, without markers for code generators. */
function sentence(comment: readonly string[]): string {
  const end = comment.indexOf('---');
  const text = (end < 0 ? comment : comment.slice(0, end))
    .filter((line) => !line.startsWith('+'))
    .join(' ')
    .trim();
  return /^.*?[.:](?=\s|$)/.exec(text)?.[0] ?? text;
}

main(process.argv[2] ?? '/root/go/pkg/mod');
