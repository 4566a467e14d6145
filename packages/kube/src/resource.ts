/** A kind as the API server's paths name it. */
export interface Resource {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

/** The kinds that we read or write. */
export const resources = {
  services: { group: '', version: 'v1', plural: 'services', kind: 'Service', namespaced: true },
  nodes: { group: '', version: 'v1', plural: 'nodes', kind: 'Node', namespaced: false },
  pods: { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true },
  namespaces: { group: '', version: 'v1', plural: 'namespaces', kind: 'Namespace', namespaced: false },
  events: { group: '', version: 'v1', plural: 'events', kind: 'Event', namespaced: true },
  daemonSets: { group: 'apps', version: 'v1', plural: 'daemonsets', kind: 'DaemonSet', namespaced: true },
  deployments: { group: 'apps', version: 'v1', plural: 'deployments', kind: 'Deployment', namespaced: true },
  endpointSlices: {
    group: 'discovery.k8s.io',
    version: 'v1',
    plural: 'endpointslices',
    kind: 'EndpointSlice',
    namespaced: true,
  },
  serviceCidrs: {
    group: 'networking.k8s.io',
    version: 'v1',
    plural: 'servicecidrs',
    kind: 'ServiceCIDR',
    namespaced: false,
  },
  ciliumIdentities: {
    group: 'cilium.io',
    version: 'v2',
    plural: 'ciliumidentities',
    kind: 'CiliumIdentity',
    namespaced: false,
  },
  ciliumEndpointSlices: {
    group: 'cilium.io',
    version: 'v2alpha1',
    plural: 'ciliumendpointslices',
    kind: 'CiliumEndpointSlice',
    namespaced: false,
  },
  customResourceDefinitions: {
    group: 'apiextensions.k8s.io',
    version: 'v1',
    plural: 'customresourcedefinitions',
    kind: 'CustomResourceDefinition',
    namespaced: false,
  },
  leases: { group: 'coordination.k8s.io', version: 'v1', plural: 'leases', kind: 'Lease', namespaced: true },
} as const satisfies Record<string, Resource>;

export function apiVersionOf({ group, version }: Resource): string {
  return group === '' ? version : `${group}/${version}`;
}

export interface ResourcePathParts {
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
  readonly subresource?: string | undefined;
}

/** `/api/v1/namespaces/default/services/kubernetes`; names are checked, so that none can lead elsewhere. */
export function resourcePath(resource: Resource, { namespace, name, subresource }: ResourcePathParts = {}): string {
  const parts = resource.group === '' ? ['api', resource.version] : ['apis', resource.group, resource.version];
  if (namespace !== undefined && resource.namespaced) parts.push('namespaces', pathSegment(namespace));
  parts.push(resource.plural);
  if (name !== undefined) parts.push(pathSegment(name));
  if (subresource !== undefined) parts.push(pathSegment(subresource));
  return `/${parts.join('/')}`;
}

/** `/api/v1/namespaces/{namespace}/services/{name}`: as many as there are kinds, however many objects there are. */
export function pathTemplate(path: string): string {
  const [, , ...parts] = path.split('/');
  const root = path.startsWith('/apis/') ? 2 : path.startsWith('/api/') ? 1 : undefined;
  if (root === undefined) return path;
  const [version, rest] = [parts.slice(0, root), parts.slice(root)];
  const isInNamespace = rest[0] === 'namespaces' && rest.length > 2;
  const place = isInNamespace ? ['namespaces', '{namespace}', ...rest.slice(2)] : rest;
  const nameAt = isInNamespace ? 3 : 1;
  const named = place.map((part, index) => (index === nameAt ? '{name}' : part));
  return `/${[root === 1 ? 'api' : 'apis', ...version, ...named].join('/')}`;
}

// Kubernetes' own rule for names that become path segments (validation of path segment names).
function pathSegment(name: string): string {
  if (name === '' || name === '.' || name === '..' || /[/%]/.test(name)) {
    throw new TypeError(`${JSON.stringify(name)} cannot be the name of an object`);
  }
  return encodeURIComponent(name);
}
