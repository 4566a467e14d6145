/**
 * A cluster for measurements: a made-up API server with as many services as one likes, nodes in namespaces with the real
 * agent, pods added by the real executable. No kubelet and no controllers, which would only disturb.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { installationRoot } from '@sluice/runtime';
import { type TemporaryDirectory, temporaryBpffs, temporaryCgroup, temporaryDirectory } from '@sluice/testing';
import { type BenchAgent, benchAgent } from './agent.ts';
import { type ApiServer, startApiServer } from './api-server.ts';
import { addPod, type BenchPod } from './cni.ts';
import { ip, type Place } from './inside.ts';
import { serve, serveMany, serverPort, type Target } from './load.ts';
import { type BenchNetwork, benchNetwork, cable, forwarding } from './network.ts';
import { exposeService, putService } from './services.ts';

export interface BenchNode extends Place {
  readonly name: string;
  readonly address: string;
  readonly cgroup: string;
  readonly bpffs: string;
  readonly stateDirectory: string;
  readonly agent: BenchAgent;
  /** The CNI configuration, as a file. */
  readonly cniConfig: string;
  /** With the real executable; it stays as long as the node. */
  pod(name: string): Promise<BenchPod>;
}

export interface BenchCluster extends AsyncDisposable {
  readonly api: ApiServer;
  readonly network: BenchNetwork;
  /** Where the API server lives, the node's default gateway: from a pod it is the world. It knows no way to pods. */
  readonly outside: { readonly netns: string; readonly address: string };
  /** Goes with the cluster. */
  readonly directory: string;
  readonly nodes: readonly BenchNode[];
  /** A server in a pod of that node, until the cluster goes. */
  serve(node: BenchNode, token: string): Promise<{ pod: BenchPod; direct: Target }>;
  /** The same for as many clients at once as like. */
  serveMany(node: BenchNode, token: string): Promise<{ pod: BenchPod; direct: Target }>;
  /** Leads the measured service to these pods, and to no others. */
  expose(...backends: readonly BenchPod[]): Promise<{ writtenNs: bigint }>;
  /** Another service, at that port of every node. */
  exposeAtNodes(service: NodePortService): Promise<void>;
}

export interface NodePortService {
  readonly name: string;
  readonly port: number;
  readonly backend: BenchPod;
  /** Default: as the nodes have it. */
  readonly forwardingMode?: 'snat' | 'dsr';
}

export interface ClusterOptions {
  readonly nodes?: number;
  /** Besides the one that is measured. */
  readonly services?: number;
  readonly endpointsPerService?: number;
  /** So many of them have a NodePort as well. */
  readonly nodePorts?: number;
  /** Helm values of a node's own. */
  readonly valuesOf?: (node: number) => object;
  /** The first two by a cable of their own, past the switch. Default: true. */
  readonly isJoined?: boolean;
  /** Default: true. */
  readonly startAgents?: boolean;
}

/** Where the measured service is, and who answers there: address and object are the last of all. */
export const measuredService = { address: '10.111.0.80', port: 80, token: 'a' } as const satisfies Target;
const measured = { name: 'measured', ...measuredService };

/** Rows of map `frontends`: one for each port, and one that says that the address is a service's. */
export function frontendRows(services: number): number {
  const measured = 3;
  return 2 * services + measured;
}

const apiAddress = '10.10.30.10';
const apiPort = 6443;
const agentsTimeoutMs = 120_000;
export const nodeName = (index: number): string => `bench-${index + 1}`;

export async function benchCluster(options: ClusterOptions = {}): Promise<BenchCluster> {
  // What is added later belongs to it as well, so it is not moved.
  const stack = new AsyncDisposableStack();
  try {
    return await fillStack(stack, options);
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

async function fillStack(stack: AsyncDisposableStack, options: ClusterOptions): Promise<BenchCluster> {
  const { nodes: nodeCount = 1, services = 0, endpointsPerService = 2, nodePorts = 0 } = options;
  const { valuesOf = () => ({}), isJoined = true, startAgents = true } = options;
  const directory = stack.use(temporaryDirectory());
  const network = stack.use(benchNetwork());
  const lan = network.namespace();
  ip(lan, 'link add switch type bridge', `address add ${apiAddress}/24 dev switch`, 'link set switch up');
  const api = stack.use(await startApiServer({ lan, address: apiAddress, port: apiPort, directory: directory.path }));
  if (services > 0) await api.fill({ services, endpointsPerService, nodePorts });
  await putService(api, measured);
  const nodes: BenchNode[] = [];
  for (let index = 0; index < nodeCount; index += 1) {
    nodes.push(await makeNode(index, { stack, directory, network, lan, api, valuesOf }));
  }
  const [first, second] = nodes;
  if (first && second && isJoined) joinByCable(first, second);
  if (startAgents) await Promise.all(nodes.map(({ agent }) => agent.start()));
  for (const { agent } of startAgents ? nodes : []) await agent.untilFrontends(frontendRows(services), agentsTimeoutMs);
  return {
    api,
    network,
    outside: { netns: lan, address: apiAddress },
    directory: directory.path,
    nodes,
    serve: (node, token) => serverPod(node, token, serve),
    serveMany: (node, token) => serverPod(node, token, serveMany),
    expose: (...backends) => exposeService(api, measured.name, backends),
    exposeAtNodes: (service) => exposeAtNodes(api, service),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function serverPod(node: BenchNode, token: string, start: typeof serve) {
  const pod = await node.pod(`server-${token}`);
  pod.stack.use(await start(pod, token));
  return { pod, direct: { address: pod.address, port: serverPort, token } };
}

interface Making {
  readonly stack: AsyncDisposableStack;
  readonly directory: TemporaryDirectory;
  readonly network: BenchNetwork;
  readonly lan: string;
  readonly api: ApiServer;
  readonly valuesOf: (node: number) => object;
}

async function makeNode(index: number, { stack, directory, network, lan, api, valuesOf }: Making): Promise<BenchNode> {
  const name = nodeName(index);
  const folder = join(directory.path, name);
  const [stateDirectory, runDirectory] = [join(folder, 'state'), join(folder, 'run')];
  mkdirSync(stateDirectory, { recursive: true });
  mkdirSync(runDirectory, { recursive: true });
  const netns = network.namespace(forwarding);
  const [address, address6] = [`10.10.30.${101 + index}`, `fd00:10:10:30::${101 + index}`];
  cable(
    { netns, device: 'eno1', address: `${address}/24`, mac: `02:00:0a:0a:1e:${(101 + index).toString(16)}` },
    { netns: lan, device: `port${index}` },
  );
  ip(lan, `link set port${index} master switch`);
  ip(netns, `address add ${address6}/64 dev eno1 nodad`, `route add default via ${apiAddress}`);
  const bpffs = stack.use(temporaryBpffs()).path;
  const cgroup = stack.use(temporaryCgroup()).path;
  // Larger than a /24: addresses rest after their release, and rows make pods by the hundred.
  await api.put('nodes', name, {
    metadata: { name },
    spec: { podCIDRs: [`10.244.${16 * index}.0/20`, `fd00:10:244:${index}::/64`] },
    status: { addresses: [address, address6].map((one) => ({ type: 'InternalIP', address: one })) },
  });
  const paths = { folder, stateDirectory, runDirectory, bpffs, cgroup };
  const server = `http://${apiAddress}:${apiPort}`;
  const agent = stack.use(benchAgent({ ...paths, name, netns, server, values: valuesOf(index) }));
  const cniConfig = join(folder, 'cni.json');
  const configuration = { cniVersion: '1.1.0', name: 'sluice', type: 'sluice-cni' };
  writeFileSync(cniConfig, JSON.stringify({ ...configuration, agentSocket: join(runDirectory, 'cni.sock') }));
  const place = { netns, cgroup };
  const node = { name, address, bpffs, stateDirectory, agent, cniConfig, ...place };
  return {
    ...node,
    async pod(podName) {
      const pod = await addPod({ node: place, network, plugin: sluiceCni, config: cniConfig, name: podName });
      return stack.use(pod);
    },
  };
}

/** Past the switch to the API server: between two nodes stands nothing that a peer's nodes do not have between them. */
function joinByCable(first: BenchNode, second: BenchNode): void {
  cable({ netns: first.netns, device: 'eno2' }, { netns: second.netns, device: 'eno2' });
  ip(first.netns, `route add ${second.address} dev eno2 src ${first.address}`);
  ip(second.netns, `route add ${first.address} dev eno2 src ${second.address}`);
}

export const sluiceCni = join(installationRoot(), 'dist/bin/sluice-cni');

async function exposeAtNodes(api: ApiServer, { name, port, backend, forwardingMode }: NodePortService): Promise<void> {
  const annotations = forwardingMode && { 'service.cilium.io/forwarding-mode': forwardingMode };
  const address = `10.111.1.${port & 0xff}`;
  await putService(api, { name, address, port: 80, nodePort: port, ...(annotations && { annotations }) });
  await exposeService(api, name, [backend]);
}
