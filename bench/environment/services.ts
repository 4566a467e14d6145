/** Services of rows, in the made-up API server: TCP and UDP at one port each. */
import type { ApiServer } from './api-server.ts';
import { serverPort } from './load.ts';

export interface BenchService {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** At every node. */
  readonly nodePort?: number;
  /** Of a load balancer, whoever leads it to a node. */
  readonly balancerAddress?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

const ports = ['TCP', 'UDP'].map((protocol) => ({ name: protocol.toLowerCase(), protocol }));

/** Without endpoints, until somebody leads it to pods. */
export async function putService(api: ApiServer, service: BenchService): Promise<void> {
  const { name, address, port, nodePort, balancerAddress, annotations = {} } = service;
  const type = balancerAddress ? 'LoadBalancer' : nodePort ? 'NodePort' : 'ClusterIP';
  await api.put('services', `bench/${name}`, {
    metadata: { namespace: 'bench', name, annotations },
    spec: {
      ...{ type, clusterIP: address, clusterIPs: [address] },
      ports: ports.map((one) => ({ ...one, port, targetPort: serverPort, nodePort })),
    },
    status: { loadBalancer: { ingress: balancerAddress ? [{ ip: balancerAddress }] : [] } },
  });
}

/** From now on it leads to these, and to no others. */
export function exposeService(
  api: ApiServer,
  name: string,
  backends: readonly { readonly address: string }[],
): Promise<{ writtenNs: bigint }> {
  return api.put('endpointslices', `bench/${name}-1`, {
    metadata: { namespace: 'bench', name: `${name}-1`, labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    ports: ports.map((port) => ({ ...port, port: serverPort })),
    endpoints: backends.map(({ address }) => ({ addresses: [address], conditions: { ready: true } })),
  });
}
