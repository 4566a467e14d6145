import type { Address } from '@sluice/net';
import type { PortRange } from '@sluice/nodes';

/** How Sluice is, or is to be, configured on this node, as far as the machine must fit to it. */
export interface NodeSettings {
  readonly tunnelPort: number;
  /** TCP ports at which the agent would answer; none where it runs and has them. */
  readonly agentPorts: readonly number[];
  /** Of the network under the tunnel; 0: as the devices have it. */
  readonly mtu: number;
  /** `eth0`, `eth+`; empty: chosen by their routes. */
  readonly devices: readonly string[];
  readonly nodeAddresses: readonly Address[];
  /** Undefined: no NodePorts are served. */
  readonly nodePorts: PortRange | undefined;
  /** Whether the agent keeps the kernel from giving them away. */
  readonly reservesNodePorts: boolean;
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  /** Where the container runtime looks for network configurations. */
  readonly cniDirectory: string;
  /** Ours. */
  readonly cniFile: string;
}

export const nodeSettingsDefault: NodeSettings = {
  tunnelPort: 8472,
  agentPorts: [],
  mtu: 0,
  devices: [],
  nodeAddresses: [],
  nodePorts: { first: 30_000, last: 32_767 },
  reservesNodePorts: true,
  ipv4: true,
  ipv6: true,
  cniDirectory: '/etc/cni/net.d',
  cniFile: '05-sluice.conflist',
};
