import { versionRank } from '../custom/definition.ts';
import { apiVersionOf, type Registry, type Resource, type ResourceVersion } from '../resources.ts';

/** The release whose API the lab speaks. */
export const serverVersion = {
  major: '1',
  minor: '35',
  gitVersion: 'v1.35.0-sluice-lab',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '2026-01-01T00:00:00Z',
  goVersion: 'none',
  compiler: 'none',
  platform: 'linux/amd64',
};

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];
const aggregatedType = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

/** Answers of /api, /apis and below, in the form the client accepts; `undefined` for other paths. */
export function discovery(
  registry: Registry,
  path: string,
  accept: string | undefined,
): { body: object; contentType: string } | undefined {
  const json = (body: object) => ({ body, contentType: 'application/json' });
  const isRoot = path === '/api' || path === '/apis';
  if (isRoot && accept?.includes('as=APIGroupDiscoveryList') && accept.includes('v=v2')) {
    return { body: aggregated(registry, path === '/api'), contentType: aggregatedType };
  }
  if (path === '/api') return json({ kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] });
  if (path === '/apis')
    return json({
      kind: 'APIGroupList',
      apiVersion: 'v1',
      groups: groupNames(registry).map((group) => apiGroup(registry, group)),
    });
  const [, root, group = '', version] = path.replace(/\/$/, '').split('/');
  if (root === 'api') return group === 'v1' ? json(resourceList(registry, '', 'v1')) : undefined;
  if (root !== 'apis' || !groupNames(registry).includes(group)) return undefined;
  if (version === undefined) return json({ apiVersion: 'v1', ...apiGroup(registry, group) });
  return versionsOf(registry, group).includes(version) ? json(resourceList(registry, group, version)) : undefined;
}

export function groupNames(registry: Registry): string[] {
  return [...new Set(registry.all().map((resource) => resource.group))].filter((group) => group !== '');
}

export function versionsOf(registry: Registry, group: string): string[] {
  const resources = registry.all().filter((resource) => resource.group === group);
  const names = new Set(resources.flatMap((resource) => resource.versions.map((version) => version.name)));
  return [...names].sort((a, b) => versionRank(b) - versionRank(a));
}

function apiGroup(registry: Registry, group: string): object {
  const versions = versionsOf(registry, group).map((version) => ({
    groupVersion: apiVersionOf(group, version),
    version,
  }));
  return { kind: 'APIGroup', name: group, versions, preferredVersion: versions[0] };
}

function served(registry: Registry, group: string, name: string): { resource: Resource; version: ResourceVersion }[] {
  return registry.all().flatMap((resource) => {
    const version =
      resource.group === group ? resource.versions.find((candidate) => candidate.name === name) : undefined;
    return version ? [{ resource, version }] : [];
  });
}

function resourceList(registry: Registry, group: string, version: string): object {
  const resources = served(registry, group, version).flatMap(({ resource, version: { subresources } }) => {
    const { plural, singular, namespaced, kind, shortNames, categories } = resource;
    const base = { name: plural, singularName: singular, namespaced, kind, verbs };
    const main = {
      ...base,
      ...(shortNames.length > 0 && { shortNames }),
      ...(categories.length > 0 && { categories }),
    };
    const below = [...subresources].map((name) => ({
      name: `${plural}/${name}`,
      singularName: '',
      namespaced,
      kind: subresourceKind(kind, name),
      verbs: subresourceVerbs(name),
    }));
    return [main, ...below];
  });
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: apiVersionOf(group, version), resources };
}

function aggregated(registry: Registry, isCore: boolean): object {
  const groups = isCore ? [''] : groupNames(registry);
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: 'apidiscovery.k8s.io/v2',
    metadata: {},
    items: groups.map((group) => ({
      metadata: { name: group, creationTimestamp: null },
      versions: versionsOf(registry, group).map((version) => ({
        version,
        freshness: 'Current',
        resources: served(registry, group, version).map((entry) => aggregatedResource(entry.resource, entry.version)),
      })),
    })),
  };
}

function aggregatedResource(resource: Resource, { name, subresources }: ResourceVersion): object {
  const { group, plural, singular, namespaced, kind, shortNames, categories } = resource;
  return {
    resource: plural,
    responseKind: { group, version: name, kind },
    scope: namespaced ? 'Namespaced' : 'Cluster',
    singularResource: singular,
    verbs,
    ...(shortNames.length > 0 && { shortNames }),
    ...(categories.length > 0 && { categories }),
    subresources: [...subresources].map((sub) => ({
      subresource: sub,
      responseKind:
        sub === 'scale'
          ? { group: 'autoscaling', version: 'v1', kind: 'Scale' }
          : { group, version: name, kind: subresourceKind(kind, sub) },
      verbs: subresourceVerbs(sub),
    })),
  };
}

function subresourceKind(kind: string, subresource: string): string {
  const kinds: Record<string, string> = {
    scale: 'Scale',
    exec: 'PodExecOptions',
    binding: 'Binding',
    eviction: 'Eviction',
  };
  return kinds[subresource] ?? kind;
}

function subresourceVerbs(subresource: string): string[] {
  if (subresource === 'log') return ['get'];
  if (subresource === 'exec') return ['create', 'get'];
  if (subresource === 'binding' || subresource === 'eviction') return ['create'];
  return subresource === 'finalize' ? ['update'] : ['get', 'patch', 'update'];
}
