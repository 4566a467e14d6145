/**
 * An API server with a large cluster in it, for measurements: lists in pages, watches, creates. Objects are kept as text.
 * `node bench/large-cluster.ts PORT [ADDRESS [SOCKET]]` serves until it is ended. `POST /fill?pods=N` makes pods,
 * `/services?count=N&endpoints=N&nodePorts=N` services with so many endpoints each, `/put/PLURAL?key=KEY` any object: there or at SOCKET,
 * which other network namespaces reach as well.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

const podsPerNamespace = 20;
const podsPerNode = 110;
const endpointsPerSlice = 16;
/** As Kubernetes has it by default. */
const backendsPerSlice = 100;
/** As the API server's --service-node-port-range begins. */
const firstNodePort = 30_000;

interface Kind {
  readonly objects: Map<string, string>;
  readonly watches: Set<ServerResponse>;
  /** When somebody asked for the list for the first time. */
  listedNs?: bigint;
}

const kinds = new Map<string, Kind>();
let version = 1;

function kindOf(plural: string): Kind {
  const kind: Kind = kinds.get(plural) ?? { objects: new Map(), watches: new Set() };
  kinds.set(plural, kind);
  return kind;
}

function put(plural: string, key: string, object: { metadata: object }): string {
  const { objects, watches } = kindOf(plural);
  const type = objects.has(key) ? 'MODIFIED' : 'ADDED';
  version += 1;
  const metadata = { uid: `uid-${version}`, ...object.metadata, resourceVersion: `${version}` };
  const text = JSON.stringify({ ...object, metadata });
  objects.set(key, text);
  for (const watch of watches) watch.write(`{"type":"${type}","object":${text}}\n`);
  return text;
}

function namespaceOf(pod: number): string {
  return `team-${Math.floor(pod / podsPerNamespace)}`;
}

function podLabels(pod: number): Record<string, string> {
  const app = `service-${pod}`;
  return { app, 'app.kubernetes.io/name': app, 'app.kubernetes.io/part-of': 'platform', 'pod-template-hash': 'abc123' };
}

export function putPod(pod: number): void {
  const [namespace, name] = [namespaceOf(pod), `service-${pod}-abc123-x`];
  const container = {
    name: 'main',
    image: 'registry.example/platform/service:1.2.3',
    ports: [{ containerPort: 8080 }],
  };
  const condition = { status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' };
  put('pods', `${namespace}/${name}`, {
    metadata: {
      namespace,
      name,
      labels: podLabels(pod),
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: `service-${pod}-abc123`, uid: 'u' }],
    },
    ...{
      spec: {
        nodeName: `node-${Math.floor(pod / podsPerNode)}`,
        serviceAccountName: 'default',
        containers: [container],
      },
    },
    ...{ status: { phase: 'Running', conditions: ['Ready', 'PodScheduled'].map((type) => ({ type, ...condition })) } },
  });
}

function fill(pods: number): void {
  for (let pod = 0; pod < pods; pod += podsPerNamespace) {
    const name = namespaceOf(pod);
    put('namespaces', name, { metadata: { name, labels: { 'kubernetes.io/metadata.name': name, tier: 'gold' } } });
  }
  for (let pod = 0; pod < pods; pod += 1) putPod(pod);
}

/** As the operator makes them. */
function identify(pods: number): void {
  for (let pod = 0; pod < pods; pod += 1) {
    const namespace = namespaceOf(pod);
    const labels = Object.entries(podLabels(pod)).filter(([key]) => key !== 'pod-template-hash');
    const given = {
      'io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name': namespace,
      'io.cilium.k8s.namespace.labels.tier': 'gold',
      'io.cilium.k8s.policy.cluster': 'default',
      'io.cilium.k8s.policy.serviceaccount': 'default',
      'io.kubernetes.pod.namespace': namespace,
    };
    const all = [...labels, ...Object.entries(given)].map(([key, value]) => [`k8s:${key}`, value]);
    const metadata = { name: String(300 + pod * 160), labels: { 'io.kubernetes.pod.namespace': namespace } };
    put('ciliumidentities', metadata.name, { metadata, ...{ 'security-labels': Object.fromEntries(all) } });
  }
}

/** Nodes, and what they have published of the first so many pods. */
function publish(endpoints: number): void {
  const ids = [...kindOf('ciliumidentities').objects.keys()];
  for (let node = 0; node * podsPerNode < endpoints; node += 1) putNode(node, endpoints, ids);
}

function putNode(node: number, endpoints: number, ids: readonly string[]): void {
  const name = `node-${node}`;
  const [high, low] = [node >> 8, node & 0xff];
  const address = `10.100.${high}.${low}`;
  const podCIDRs = [`10.${128 + high}.${low}.0/24`, `fd00:10:${(0x1000 + node).toString(16)}::/64`];
  const addresses = [{ type: 'InternalIP', address }];
  const object = put('nodes', name, { metadata: { name }, ...{ spec: { podCIDRs }, status: { addresses } } });
  const { uid } = (JSON.parse(object) as { metadata: { uid: string } }).metadata;
  const first = node * podsPerNode;
  const last = Math.min(endpoints, first + podsPerNode);
  for (let from = first; from < last; from += endpointsPerSlice) {
    const members = Array.from({ length: Math.min(endpointsPerSlice, last - from) }, (_, index) => {
      const host = from + index - first + 2;
      const addressing = [
        {
          ipv4: `10.${128 + high}.${low}.${host}`,
          ipv6: `fd00:10:${(0x1000 + node).toString(16)}::${host.toString(16)}`,
        },
      ];
      return {
        name: `service-${from + index}-abc123-x`,
        id: Number(ids[from + index]),
        networking: { addressing, node: address },
      };
    });
    const slice = `${name}.${namespaceOf(from)}.${from}`;
    const ownerReferences = [{ apiVersion: 'v1', kind: 'Node', name, uid }];
    put('ciliumendpointslices', slice, {
      metadata: { name: slice, ownerReferences },
      ...{ namespace: namespaceOf(from), endpoints: members },
    });
  }
}

/** ClusterIPs from 10.97.0.0 on, endpoints from 10.176.0.0 on: nobody else is there. */
function fillServices(count: number, endpoints: number, nodePorts: number): void {
  for (let service = 0; service < count; service += 1) {
    const [namespace, name] = [`team-${Math.floor(service / podsPerNamespace)}`, `filler-${service}`];
    const address = numbered(97, service);
    const type = service < nodePorts ? 'NodePort' : 'ClusterIP';
    const nodePort = service < nodePorts && { nodePort: firstNodePort + service };
    const ports = [{ name: 'http', protocol: 'TCP', port: 80, targetPort: 8080, ...nodePort }];
    const labels = { app: name, 'app.kubernetes.io/part-of': 'platform' };
    const spec = { type, clusterIP: address, clusterIPs: [address], ports, selector: { app: name } };
    put('services', `${namespace}/${name}`, { metadata: { namespace, name, labels }, ...{ spec } });
    for (let from = 0; from < endpoints; from += backendsPerSlice) {
      const slice = `${name}-${from / backendsPerSlice}`;
      const members = Array.from({ length: Math.min(backendsPerSlice, endpoints - from) }, (_, index) =>
        fillerEndpoint(service * endpoints + from + index, namespace),
      );
      put('endpointslices', `${namespace}/${slice}`, {
        metadata: { namespace, name: slice, labels: { ...labels, 'kubernetes.io/service-name': name } },
        ...{ addressType: 'IPv4', ports: [{ name: 'http', protocol: 'TCP', port: 8080 }], endpoints: members },
      });
    }
  }
}

function fillerEndpoint(number: number, namespace: string): object {
  return {
    addresses: [numbered(176, number)],
    conditions: { ready: true, serving: true, terminating: false },
    nodeName: `node-${Math.floor(number / podsPerNode)}`,
    zone: `zone-${number % 3}`,
    targetRef: { kind: 'Pod', namespace, name: `filler-${number}`, uid: `00000000-0000-4000-8000-${number}` },
  };
}

function numbered(second: number, number: number): string {
  return `10.${second + (number >> 16)}.${(number >> 8) & 0xff}.${number & 0xff}`;
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://bench');
  const path = url.pathname.split('/').slice(1);
  if (path[0] === 'fill') return reply(response, 200, String(fill(Number(url.searchParams.get('pods')))));
  if (path[0] === 'identify') return reply(response, 200, String(identify(Number(url.searchParams.get('pods')))));
  if (path[0] === 'publish') return reply(response, 200, String(publish(Number(url.searchParams.get('endpoints')))));
  if (path[0] === 'services') {
    const names = ['count', 'endpoints', 'nodePorts'];
    const [count = 0, endpoints = 0, nodePorts = 0] = names.map((name) => Number(url.searchParams.get(name)));
    return reply(response, 200, String(fillServices(count, endpoints, nodePorts)));
  }
  if (path[0] === 'pod') return reply(response, 200, String(putPod(Number(path[1]))));
  if (path[0] === 'listed') return reply(response, 200, String(kindOf(path[1] ?? '').listedNs ?? 0));
  if (path[0] === 'count') return reply(response, 200, String(kindOf(path[1] ?? '').objects.size));
  const rest = path[0] === 'api' ? path.slice(2) : path[0] === 'apis' ? path.slice(3) : ['version'];
  const isNamespaced = rest[0] === 'namespaces' && rest.length > 2;
  const [plural = '', name] = isNamespaced ? rest.slice(2) : rest;
  const key = isNamespaced ? `${rest[1]}/${name}` : (name ?? '');
  let body = '';
  for await (const chunk of request) body += chunk;
  if (path[0] === 'put') {
    const writtenNs = process.hrtime.bigint();
    put(path[1] ?? '', url.searchParams.get('key') ?? '', JSON.parse(body) as { metadata: object });
    return reply(response, 200, String(writtenNs));
  }
  if (url.searchParams.get('watch') === 'true') watch(plural, response);
  else if (request.method === 'GET' && name === undefined) list(plural, url, response);
  else if (request.method === 'GET' || request.method === 'PATCH' || request.method === 'DELETE') {
    const object = kindOf(plural).objects.get(key);
    reply(response, object === undefined ? 404 : 200, object ?? '{"kind":"Status","reason":"NotFound"}');
  } else create(plural, isNamespaced ? rest[1] : undefined, body, response);
}

function create(plural: string, namespace: string | undefined, body: string, response: ServerResponse): void {
  const object = JSON.parse(body) as { metadata: { name: string } };
  const key = namespace === undefined ? object.metadata.name : `${namespace}/${object.metadata.name}`;
  const isThere = kindOf(plural).objects.has(key) && !body.includes('"Lease"');
  if (isThere) reply(response, 409, '{"kind":"Status","reason":"AlreadyExists"}');
  else reply(response, 201, put(plural, key, object));
}

function list(plural: string, url: URL, response: ServerResponse): void {
  kindOf(plural).listedNs ??= process.hrtime.bigint();
  const wanted = url.searchParams.get('fieldSelector') ?? '';
  const limit = Number(url.searchParams.get('limit') ?? '500');
  const start = Number(url.searchParams.get('continue') ?? '0');
  const all = wanted.startsWith('spec.nodeName=') ? [] : [...kindOf(plural).objects.values()];
  const next = start + limit < all.length ? `,"continue":"${start + limit}"` : '';
  const items = all.slice(start, start + limit).join(',');
  reply(response, 200, `{"kind":"List","metadata":{"resourceVersion":"${version}"${next}},"items":[${items}]}`);
}

function watch(plural: string, response: ServerResponse): void {
  const { watches } = kindOf(plural);
  response.writeHead(200, { 'content-type': 'application/json' });
  response.flushHeaders();
  watches.add(response);
  const bookmark = setInterval(
    () => response.write(`{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"${version}"}}}\n`),
    10_000,
  );
  response.once('close', () => {
    clearInterval(bookmark);
    watches.delete(response);
  });
}

function reply(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(text);
}

const [port = '0', address = '127.0.0.1', controlSocket] = process.argv.slice(2);
const server = () => createServer((request, response) => void answer(request, response));
server().listen(Number(port), address, () => {
  if (controlSocket === undefined) process.stdout.write('ready\n');
  else server().listen(controlSocket, () => process.stdout.write('ready\n'));
});
