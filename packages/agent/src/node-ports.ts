import type { SluiceValues } from '@sluice/config';
import { type Address, type Prefix, parseAddress, parsePrefix, prefixContains } from '@sluice/net';
import type { NodesFeature } from '@sluice/nodes';
import type { StatusReport } from './report.ts';

/** Loopback is asked for by a network of its own: one that merely has it in it, as 0.0.0.0/0, means the node's. */
export function nodePortLoopback(networks: readonly Prefix[]): Address[] {
  return loopbacks.flatMap(({ address, network }) => {
    const isAskedFor = (asked: Prefix): boolean =>
      asked.length >= network.length && prefixContains(network, asked.address) && prefixContains(asked, address);
    return networks.some(isAskedFor) ? [address] : [];
  });
}

const loopbacks = [
  { address: parseAddress('127.0.0.1'), network: parsePrefix('127.0.0.0/8') },
  { address: parseAddress('::1'), network: parsePrefix('::1/128') },
] as const;

/** What the kernel must give to nobody who asks for any port. */
export function reservedPorts({
  kubeProxyReplacement,
  nodePort,
}: SluiceValues): SluiceValues['nodePort']['range'] | undefined {
  return kubeProxyReplacement && nodePort.autoProtectPortRange ? nodePort.range : undefined;
}

export function nodePortsReport(
  { nodePort }: Pick<SluiceValues, 'nodePort'>,
  nodes: Pick<NodesFeature, 'nodePortAddresses'>,
): StatusReport['kubeProxyReplacement']['nodePorts'] {
  const { served, without } = nodes.nodePortAddresses();
  const { first, last } = nodePort.range;
  return { first, last, addresses: [...served, ...nodePortLoopback(nodePort.addresses)], without };
}
