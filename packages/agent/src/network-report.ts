/** What the status tells of devices, routes and masquerade, as the tables and the kernel's links have it now. */
import type { SluiceValues } from '@sluice/config';
import type { LinkStatus } from '@sluice/datapath';
import { formatPrefix } from '@sluice/net';
import type { Device, Node } from '@sluice/nodes';
import type { StatusReport } from './report.ts';

export interface NetworkState {
  readonly devices: readonly Device[];
  readonly nodes: readonly Node[];
  readonly values: SluiceValues;
  /** Of the pods' interfaces; 0 while it is not known. */
  readonly mtu: number;
  readonly links: readonly LinkStatus[];
  /** Why the kernel's side is not open, if so. */
  readonly closed: string | undefined;
}

export function networkReport(state: NetworkState): Pick<StatusReport, 'devices' | 'routing' | 'masquerading'> {
  return { devices: deviceReport(state), routing: routingReport(state), masquerading: masqueradingReport(state) };
}

function deviceReport({ devices }: NetworkState): StatusReport['devices'] {
  return devices.map(({ name, mtu, addresses, selected, why }) => ({ name, mtu, addresses, selected, why }));
}

function routingReport({ nodes, values, mtu }: NetworkState): StatusReport['routing'] {
  const isLegacy = values.bpf.hostLegacyRouting;
  return {
    network: 'Tunnel [vxlan]',
    host: isLegacy ? 'Legacy' : 'BPF',
    hostWhy: isLegacy ? 'bpf.hostLegacyRouting is true' : undefined,
    mtu,
    routes: nodes.flatMap(({ name, podCidrs, tunnelEndpoint, podMtu }) => {
      if (tunnelEndpoint === undefined) return [];
      return [{ node: name, podCidrs: podCidrs.map(formatPrefix), tunnelEndpoint, mtu: podMtu }];
    }),
  };
}

function masqueradingReport(state: NetworkState): StatusReport['masquerading'] {
  const { values } = state;
  const devices = state.devices.filter((device) => device.selected);
  const ipv4 = values.enableIPv4Masquerade && values.ipv4.enabled;
  const ipv6 = values.enableIPv6Masquerade && values.ipv6.enabled;
  const report = { ipv4, ipv6, devices: devices.map(({ name, sources }) => ({ name, addresses: sources })) };
  if (!ipv4 && !ipv6) return { ...report, state: 'off', why: 'enableIPv4Masquerade and enableIPv6Masquerade are off' };
  const why = state.closed ?? whyNotMasqueraded(devices, state.links);
  return { ...report, state: why === undefined ? 'ok' : 'degraded', why };
}

function whyNotMasqueraded(devices: readonly Device[], links: readonly LinkStatus[]): string | undefined {
  if (devices.length === 0) return 'no device faces the network: "sluice table devices" says of each why';
  const missing = devices.flatMap(({ name }) => notHooked(`to_network_${name}`, links));
  return missing.length === 0 ? undefined : missing.join('; ');
}

function notHooked(name: string, links: readonly LinkStatus[]): string[] {
  const link = links.find((candidate) => candidate.name === name);
  return link?.attached ? [] : [`${name}: ${link?.why ?? 'no link'}`];
}
