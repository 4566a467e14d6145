import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { installationRoot } from '@sluice/runtime';
import { parseAllDocuments } from 'yaml';

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

interface Roles {
  readonly kind: string;
  readonly rules?: readonly Rule[];
}

/** As an API server of a test has seen it. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly watch: boolean;
}

export interface ChartRights {
  /** What the chart does not permit, each once: `list pods`. */
  missing(requests: readonly SeenRequest[]): string[];
  /** What it permits and none of them has used: `patch nodes`. */
  unused(requests: readonly SeenRequest[]): string[];
}

const namespace = 'kube-system';
const verbs: Readonly<Record<string, string>> = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' };

/** The rights that charts/sluice gives to a process, installed into kube-system. */
export function chartRights(process: 'agent' | 'operator'): ChartRights {
  const text = readFileSync(join(installationRoot(), `charts/sluice/templates/rbac-${process}.yaml`), 'utf8');
  // Of the template only names and labels are filled in, and rules have none of them.
  const plain = text.replace(/^.*\{\{.*\}\}.*$/gm, '');
  const roles = parseAllDocuments(plain).map((document) => document.toJS() as Roles);
  const granted = roles.flatMap(({ kind, rules = [] }) => rules.map((rule) => ({ rule, isLocal: kind === 'Role' })));
  const covers = ({ rule, isLocal }: (typeof granted)[number], asked: Asked) =>
    (!isLocal || asked.namespace === namespace) &&
    rule.apiGroups.includes(asked.group) &&
    rule.resources.includes(asked.resource) &&
    rule.verbs.includes(asked.verb) &&
    (rule.resourceNames === undefined || rule.resourceNames.includes(asked.name ?? ''));
  const askedBy = (requests: readonly SeenRequest[]) => requests.flatMap((request) => askedFor(request) ?? []);
  return {
    missing(requests) {
      const refused = askedBy(requests).filter((asked) => !granted.some((grant) => covers(grant, asked)));
      return [...new Set(refused.map(({ verb, resource }) => `${verb} ${resource}`))].sort();
    },
    unused(requests) {
      const used = new Set(askedBy(requests).map(({ verb, resource }) => `${verb} ${resource}`));
      const all = granted.flatMap(({ rule }) =>
        rule.verbs.flatMap((verb) => rule.resources.map((resource) => `${verb} ${resource}`)),
      );
      return [...new Set(all)].filter((each) => !used.has(each)).sort();
    },
  };
}

interface Asked {
  readonly group: string;
  readonly resource: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly verb: string;
}

/** Undefined: no object, such as /version, which everybody may ask. */
function askedFor({ method, path, watch }: SeenRequest): Asked | undefined {
  const parts = path.split('/').slice(1);
  const isCore = parts[0] === 'api';
  if (!isCore && parts[0] !== 'apis') return undefined;
  const rest = parts.slice(isCore ? 2 : 3);
  const isInNamespace = rest[0] === 'namespaces' && rest.length > 2;
  const [plural, name, subresource] = isInNamespace ? rest.slice(2) : rest;
  if (plural === undefined) return undefined;
  return {
    group: isCore ? '' : (parts[1] ?? ''),
    resource: subresource === undefined ? plural : `${plural}/${subresource}`,
    namespace: isInNamespace ? rest[1] : undefined,
    name,
    verb: verbs[method] ?? (name !== undefined ? 'get' : watch ? 'watch' : 'list'),
  };
}
