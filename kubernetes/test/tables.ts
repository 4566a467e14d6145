/** Holds what the nodes' kernels have against what the API server says. */
import assert from 'node:assert/strict';
import { eventually, kubectlJson, nodeNames, on, sluiceJson } from '../cluster.ts';

interface Service {
  readonly metadata: { readonly namespace: string; readonly name: string };
  readonly spec: {
    readonly type: string;
    readonly clusterIPs?: readonly string[];
    readonly ports?: readonly { readonly name?: string; readonly port: number; readonly protocol: string }[];
  };
}

interface Slice {
  readonly metadata: { readonly namespace: string; readonly labels?: Readonly<Record<string, string>> };
  readonly addressType: string;
  readonly endpoints:
    | readonly { readonly addresses: readonly string[]; readonly conditions: { readonly ready?: boolean } }[]
    | null;
  readonly ports: readonly { readonly name?: string; readonly port: number; readonly protocol: string }[] | null;
}

export interface Pod {
  readonly metadata: { readonly namespace: string; readonly name: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly nodeName?: string; readonly hostNetwork?: boolean };
  readonly status: { readonly phase: string; readonly podIPs?: readonly { readonly ip: string }[] };
}

interface List<Item> {
  readonly items: readonly Item[];
}

/** Frontend to backends, both as `ADDRESS:PORT/PROTOCOL`. */
type Frontends = Readonly<Record<string, readonly string[]>>;

/** Nodes and their gateways have one below. */
const reservedIdentities = 256;

const at = (address: string, port: number, protocol: string) => `${address} ${port}/${protocol}`;

export async function frontendsOfApi(): Promise<Frontends> {
  const [{ items: services }, { items: slices }] = await Promise.all([
    kubectlJson<List<Service>>('get', 'services', '-A'),
    kubectlJson<List<Slice>>('get', 'endpointslices', '-A'),
  ]);
  const entries = services
    .filter(({ spec }) => spec.type !== 'ExternalName')
    .flatMap(({ metadata, spec }) =>
      (spec.clusterIPs ?? [])
        .filter((address) => address !== 'None')
        .flatMap((address) =>
          (spec.ports ?? [])
            .filter(({ protocol }) => protocol !== 'SCTP')
            .map(({ name, port, protocol }) => {
              const ours = slices.filter(
                (slice) =>
                  slice.metadata.namespace === metadata.namespace &&
                  slice.metadata.labels?.['kubernetes.io/service-name'] === metadata.name &&
                  (slice.addressType === 'IPv6') === address.includes(':'),
              );
              return [
                at(address, port, protocol),
                ours.flatMap((slice) => readyBackends(slice, name, protocol)).sort(),
              ] as const;
            }),
        ),
    );
  return Object.fromEntries(entries);
}

function readyBackends({ endpoints, ports }: Slice, portName: string | undefined, protocol: string): string[] {
  const port = (ports ?? []).find(
    (candidate) => (candidate.name ?? '') === (portName ?? '') && candidate.protocol === protocol,
  );
  if (!port) return [];
  const ready = (endpoints ?? []).filter(({ conditions }) => conditions.ready !== false);
  return ready.flatMap(({ addresses }) => addresses.map((address) => at(address, port.port, protocol)));
}

interface Entry<Key, Value> {
  readonly key: Key;
  readonly value: Value;
}
interface Frontend {
  readonly serviceId: number;
  readonly generation: number;
}

/** As the maps have it, the rows without a port aside, which only say that an address is a service's. */
export async function frontendsOfKernel(node: string): Promise<Frontends> {
  const dump = <Key, Value>(map: string) => sluiceJson<readonly Entry<Key, Value>[]>(node, 'map', 'dump', map);
  const frontends = await dump<{ address: string; port: number; protocol: string }, Frontend>('frontends');
  const slots = await dump<Frontend, { backendId: number }>('slots');
  const backends = await dump<number, { address: string; port: number; protocol: string }>('backends');
  const backendOf = new Map(backends.map(({ key, value }) => [key, at(value.address, value.port, value.protocol)]));
  const slotsOf = Map.groupBy(slots, ({ key }) => `${key.serviceId}.${key.generation}`);
  return Object.fromEntries(
    frontends
      .filter(({ key }) => key.port !== 0)
      .map(({ key, value }) => {
        const used = slotsOf.get(`${value.serviceId}.${value.generation}`) ?? [];
        const named = used.map(
          (slot) => backendOf.get(slot.value.backendId) ?? `backend ${slot.value.backendId} is missing`,
        );
        return [at(key.address, key.port, key.protocol), named.sort()];
      }),
  );
}

export async function podsOf(node: string): Promise<readonly Pod[]> {
  const { items } = await kubectlJson<List<Pod>>('get', 'pods', '-A', '--field-selector', `spec.nodeName=${node}`);
  return items.filter(
    ({ spec, status }) => !spec.hostNetwork && (status.phase === 'Running' || status.phase === 'Pending'),
  );
}

/** What a node has for its pods, in each place where something could be left behind. */
export async function tracesOfPods(node: string): Promise<Readonly<Record<string, readonly string[]>>> {
  const endpoints = await sluiceJson<readonly { hostName: string; ipv4?: string; ipv6?: string }[]>(
    node,
    'endpoint',
    'list',
  );
  const inMap = await sluiceJson<readonly Entry<string, { id: number }>[]>(node, 'map', 'dump', 'endpoints');
  const cookies = await sluiceJson<readonly Entry<number, { ipv4?: string }>[]>(node, 'map', 'dump', 'netns_endpoints');
  const lines = async (script: string) =>
    (await on(node, 'sh', '-c', script)).split('\n').filter((line) => line !== '');
  return {
    endpoints: endpoints.map(({ hostName }) => hostName).sort(),
    devices: (await lines("ip -o link | sed -n 's/.*: \\(slc[0-9a-f]*\\)@.*/\\1/p'")).sort(),
    pins: (await lines('ls /sys/fs/bpf/sluice/links'))
      .filter((pin) => pin.startsWith('pod_'))
      .map((pin) => pin.slice(4))
      .sort(),
    files: (await lines('ls /var/lib/sluice/endpoints')).map((file) => file.replace(/\.json$/, '')).sort(),
    addresses: endpoints
      .flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6])
      .filter((address) => address !== undefined)
      .sort(),
    // The node's own addresses belong to endpoint 0.
    addressesInMap: inMap
      .filter(({ value }) => value.id !== 0)
      .map(({ key }) => key)
      .sort(),
    namespaces: cookies.map(({ value }) => value.ipv4 ?? '').sort(),
  };
}

/** Every trace belongs to a pod that the API server has, and every such pod has every trace. */
export async function assertNothingIsLeft(node: string): Promise<void> {
  const pods = await podsOf(node);
  const traces = await tracesOfPods(node);
  const addresses = pods.flatMap(({ status }) => (status.podIPs ?? []).map(({ ip }) => ip)).sort();
  assert.deepEqual(traces.addresses, addresses, `${node}: endpoints and pods`);
  assert.deepEqual(traces.addressesInMap, addresses, `${node}: map endpoints and pods`);
  assert.deepEqual(traces.devices, traces.endpoints, `${node}: devices`);
  assert.deepEqual(traces.pins, traces.endpoints, `${node}: pinned links`);
  assert.deepEqual(traces.files, traces.endpoints, `${node}: state files`);
  assert.equal(traces.namespaces?.length, pods.length, `${node}: map netns_endpoints`);
}

export const nothingIsLeft = (seconds = 60) =>
  Promise.all(nodeNames.map((node) => eventually(seconds, () => assertNothingIsLeft(node))));

/** The services of every node's kernel are those of the API server; its addresses are known on every node. */
export async function tablesEqualApi(seconds = 60): Promise<void> {
  await eventually(seconds, async () => {
    const wanted = await frontendsOfApi();
    for (const node of nodeNames) assert.deepEqual(await frontendsOfKernel(node), wanted, `${node}: services`);
  });
  await nothingIsLeft(seconds);
  await eventually(seconds, async () => {
    const { items } = await kubectlJson<List<Pod>>('get', 'pods', '-A');
    const pods = items.filter(({ spec, status }) => !spec.hostNetwork && status.phase === 'Running');
    for (const node of nodeNames) {
      const known = await sluiceJson<readonly Entry<string, { identity: number }>[]>(node, 'map', 'dump', 'ipcache');
      const elsewhere = pods.filter(({ spec }) => spec.nodeName !== node);
      const wanted = elsewhere.flatMap(({ status }) => (status.podIPs ?? []).map(({ ip }) => ip)).sort();
      const ofPods = known
        .filter(({ value }) => value.identity >= reservedIdentities)
        .map(({ key }) => key)
        .sort();
      assert.deepEqual(ofPods, wanted, `${node}: addresses of pods elsewhere`);
    }
  });
}
