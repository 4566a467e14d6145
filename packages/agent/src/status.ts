import { release } from 'node:os';
import { type Counter, DropReason, directionNames, dropReasonText, isDrop, sockHookNames } from '@sluice/datapath';
import { foreignRules } from '@sluice/doctor/foreign';
import { formatPrefix } from '@sluice/net';
import type { Agent } from './agent.ts';
import { cniReport } from './cni-report.ts';
import { kubernetesReport } from './kubernetes-report.ts';
import { mapUsage } from './map-usage.ts';
import { moduleReports } from './modules.ts';
import { destinationText } from './nat-ports.ts';
import { networkReport } from './network-report.ts';
import { nodePortsReport } from './node-ports.ts';
import { conflictingPlaces, refusedExternalIps } from './others-places.ts';
import type { StatusReport } from './report.ts';

/** Everything is looked at now: the kernel, the tables, the sockets. What is not there yet says so. */
export function statusReport(agent: Agent): StatusReport {
  const { options, nodes, datapath, controllers } = agent;
  const links = datapath?.links() ?? [];
  const maps = mapUsage(datapath);
  const hooks = sockHookNames.map((name) => {
    const link = links.find((candidate) => candidate.name === name);
    return { name, attached: link?.attached ?? false, why: link ? link.why : 'no link' };
  });
  const proxied = hooks.every((hook) => hook.attached);
  // The table has them as they came, the last changed last.
  const devices = nodes.devices
    .list()
    .toSorted((one, other) => one.name.localeCompare(other.name, 'en', { numeric: true }));
  return {
    node: options.nodeName,
    version: agent.version,
    startedAt: agent.startedAt,
    kernel: release(),
    kubernetes: kubernetesReport(agent.kubernetes, agent.apiFacts.version),
    kubeProxyReplacement: {
      enabled: proxied,
      why: proxied ? undefined : whyNotProxied(agent, hooks),
      devices: devices
        .filter((device) => device.selected)
        .map(({ name, addresses, why }) => ({ name, addresses, why })),
      forwarding: agent.values.loadBalancer.mode,
      hooks,
      nodePorts: nodePortsReport(agent.values, nodes),
      refusedExternalIps: agent.loadBalancer === undefined ? [] : refusedExternalIps(agent.loadBalancer),
      conflicts: agent.loadBalancer === undefined ? [] : conflictingPlaces(agent.loadBalancer),
    },
    cni: cniReport(agent),
    ipam: ipamReport(agent),
    ...networkReport({
      devices,
      nodes: nodes.nodes.list(),
      values: agent.values,
      mtu: nodes.facts?.mtu ?? 0,
      links,
      closed: datapath ? undefined : (nodes.problem ?? 'starting'),
    }),
    acceleration: agent.acceleration.report(),
    attachMode: 'TCX',
    natPorts: natPortsReport(agent),
    controllers: { total: controllers.total, healthy: controllers.healthy, list: controllers.list() },
    modules: moduleReports(agent, { links, maps }),
    maps,
    // Ours, which shows the network that we are in: what stands at --proc may be settings alone.
    ...foreignRules({ procPath: '/proc' }),
    ...agent.foreignPrograms(),
    nodes: agent.reachability.report(),
    ...counterReport(agent),
    kernelDropsMissed: Number(agent.kernelDrops.drops?.missed() ?? 0n),
    eventsLost: Number(agent.events?.lost() ?? 0n),
    eventsWithheld: Number(agent.events?.withheld() ?? 0n),
    tracesWithheld: Number(agent.events?.tracesWithheld() ?? 0n),
    configurationWarnings: agent.warnings,
  };
}

function whyNotProxied(
  { values, nodes, datapath }: Agent,
  hooks: StatusReport['kubeProxyReplacement']['hooks'],
): string {
  if (!values.kubeProxyReplacement) return 'kubeProxyReplacement is false';
  if (!datapath) return nodes.problem ?? 'starting';
  const missing = hooks.filter((hook) => !hook.attached).map((hook) => `${hook.name}: ${hook.why ?? 'not attached'}`);
  return missing.join('; ');
}

function natPortsReport({ connections }: Agent): StatusReport['natPorts'] {
  const [fullest] = connections.takenPorts ?? [];
  if (fullest === undefined) return undefined;
  const { source, ports, portsMax, isExhausted } = fullest;
  return { destination: destinationText(fullest), source, ports, portsMax, isExhausted };
}

function ipamReport({ addresses }: Agent): StatusReport['ipam'] {
  return [addresses.ipv4, addresses.ipv6].flatMap((pool) => {
    if (!pool || pool.prefixes.length === 0) return [];
    const { family, allocated, capacity } = pool.usage();
    const total = capacity <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(capacity) : undefined;
    return [{ family, prefix: pool.prefixes.map(formatPrefix).join(', '), allocated, total }];
  });
}

/** Packets by the programs' counters and the kernel's drops. */
export function counterReport({ datapath, kernelDrops }: Agent): Pick<StatusReport, 'drops' | 'forwarded'> {
  const rows = [...(datapath?.maps.counters.entries() ?? [])].map(([key, perCpu]) => ({
    reason: dropReasonText[key.reason as DropReason],
    isForwarded: key.reason === DropReason.Forwarded,
    isDrop: isDrop(key.reason),
    direction: directionNames[key.direction as 0 | 1] ?? String(key.direction),
    ...sum(perCpu),
  }));
  const ofPrograms = rows
    .filter((row) => row.isDrop && row.packets > 0)
    .map(({ reason, direction, packets, bytes }) => ({
      reason: reason?.text ?? 'unknown reason',
      direction,
      packets,
      bytes,
      hint: reason?.hint ?? 'the programs are newer than the agent',
    }));
  const ofKernel = (kernelDrops.drops?.counts() ?? []).map(({ text, hint, packets, bytes }) => {
    return { reason: text, direction: 'kernel', packets: Number(packets), bytes: Number(bytes), hint };
  });
  return {
    drops: [...ofPrograms, ...ofKernel],
    forwarded: rows
      .filter((row) => row.isForwarded)
      .map(({ direction, packets, bytes }) => ({ direction, packets, bytes })),
  };
}

function sum(perCpu: readonly Counter[]): { packets: number; bytes: number } {
  let packets = 0n;
  let bytes = 0n;
  for (const counter of perCpu) {
    packets += counter.packets;
    bytes += counter.bytes;
  }
  return { packets: Number(packets), bytes: Number(bytes) };
}
