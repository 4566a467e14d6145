import { LabError } from './error.ts';

export interface LabNode {
  readonly name: string;
  readonly address4: string;
  readonly address6: string;
  readonly mac: string;
  readonly zone: string;
  /** Its port of the LAN's switch. */
  readonly port: string;
}

/** The homelab's shape: one flat LAN, a router, the API server's address, and nodes with one device each. */
export interface LabTopology {
  readonly device: string;
  readonly router4: string;
  readonly router6: string;
  readonly apiServer4: string;
  readonly apiServer6: string;
  readonly apiServerPort: number;
  readonly nodes: readonly LabNode[];
}

export interface TopologyOptions {
  readonly nodeCount: number;
  readonly device: string;
  /** The API server's address as the values name it; its /24 is the LAN. */
  readonly apiServerHost: string;
  readonly apiServerPort: number;
}

export const nodesMax = 20;
const lan6 = 'fd00:10:10:30::';
const firstNode = 101;
const zones = ['a', 'b', 'c'];

export function labTopology({ nodeCount, device, apiServerHost, apiServerPort }: TopologyOptions): LabTopology {
  if (!Number.isInteger(nodeCount) || nodeCount < 1 || nodeCount > nodesMax) {
    throw new LabError(`a lab has 1 to ${nodesMax} nodes, not ${nodeCount}`);
  }
  const [, lan4, last] = /^(\d+\.\d+\.\d+\.)(\d+)$/.exec(apiServerHost) ?? [];
  if (!lan4 || !last || Number(last) < 2 || Number(last) >= firstNode) {
    throw new LabError(
      `the lab's API server needs an IPv4 address with a last part from 2 to ${firstNode - 1}, not ${apiServerHost}`,
      { hint: 'k8sServiceHost in the values says where it stands' },
    );
  }
  return {
    device,
    router4: `${lan4}1`,
    router6: `${lan6}1`,
    apiServer4: apiServerHost,
    apiServer6: `${lan6}${last}`,
    apiServerPort,
    nodes: Array.from({ length: nodeCount }, (_, index) => ({
      name: `k8s-cp${index + 1}`,
      address4: `${lan4}${firstNode + index}`,
      address6: `${lan6}${firstNode + index}`,
      mac: `02:00:0a:0a:1e:${(firstNode + index).toString(16).padStart(2, '0')}`,
      zone: `zone-${zones[index % zones.length]}`,
      port: `port${index + 1}`,
    })),
  };
}
