import { familyOf } from '@sluice/net';
import { ephemeralPorts, leavesPorts } from '@sluice/nodes';
import type { NetworkFacts } from '../facts/network-facts.ts';
import type { Check, Complaint } from '../finding.ts';

/** The node's devices and the kernel's settings for them. */
export const networkChecks: readonly Check<NetworkFacts>[] = [
  { name: 'network-devices', look: deviceCheck },
  { name: 'mtu', look: mtuCheck },
  { name: 'rp-filter', look: reversePathCheck },
  { name: 'forwarding', look: forwardingCheck },
  { name: 'ipv6', look: ipv6Check },
  { name: 'neighbour-table', look: neighbourCheck },
  { name: 'tunnel-port', look: tunnelPortCheck },
  { name: 'agent-ports', look: agentPortCheck },
  { name: 'node-ports', look: nodePortCheck },
  { name: 'route-localnet', look: loopbackCheck },
];

function deviceCheck({ devices, settings }: NetworkFacts): Complaint[] {
  if (devices.some((device) => device.selected)) return [];
  const named = settings.devices.length > 0 ? `, and none is called ${settings.devices.join(' or ')}` : '';
  return [
    {
      severity: 'warning',
      what: `no device faces the network: none has a default route${named}`,
      meaning: 'pods reach no other node and not the world, and nothing is masqueraded',
      remedy: 'ip route show default; or name the device in the values: devices: [eth0]',
    },
  ];
}

/** What the smallest IPv6 link must carry (RFC 8200 section 5); pods never get less. */
const podMtuMin = 1280;
/** Outer Ethernet, IP, UDP and VXLAN headers, by the family of the network between the nodes. */
const overheadBytes = { 4: 50, 6: 70 } as const;

function overheadOf({ addresses }: NetworkFacts['devices'][number]): number {
  return overheadBytes[addresses.some((address) => familyOf(address) === 4) ? 4 : 6];
}

function mtuCheck({ devices, settings }: NetworkFacts): Complaint[] {
  const facing = devices.filter((device) => device.selected);
  const small = facing.filter((device) => device.mtu < podMtuMin + overheadOf(device));
  const tooSmall = small.map((device): Complaint => {
    const { name, mtu } = device;
    const needed = podMtuMin + overheadOf(device);
    return {
      severity: 'error',
      what: `the MTU of ${name} is ${mtu}, needed is at least ${needed}`,
      meaning: `a pod's packets of ${podMtuMin} bytes, the least that IPv6 allows, do not fit through the tunnel (${overheadOf(device)} bytes more)`,
      remedy: `ip link set ${name} mtu 1500, and the same in the network's configuration`,
    };
  });
  const beyond = facing.filter(({ mtu }) => settings.mtu > mtu);
  const tooLarge = beyond.map(({ name, mtu }): Complaint => {
    return {
      severity: 'error',
      what: `the values say MTU ${settings.mtu}, but ${name} carries ${mtu}`,
      meaning: 'tunneled packets are larger than the device takes: small ones pass, large ones vanish',
      remedy: `set MTU: ${mtu} or leave it out, then it is read from the device; or: ip link set ${name} mtu ${settings.mtu}`,
    };
  });
  return [...tooSmall, ...tooLarge];
}

/**
 * 1 is strict, 2 loose; the larger of "all" and the device's own counts. Packets of pods are taken before this filter, so
 * it hurts in two places only: on our own device, and where packets between nodes come and go by different devices.
 */
function reversePathCheck({ ipv4Settings, devices }: NetworkFacts): Complaint[] {
  const effective = (device: string) =>
    Math.max(Number(ipv4Settings['all/rp_filter'] ?? 0), Number(ipv4Settings[`${device}/rp_filter`] ?? 0));
  const strict = (device: string) => ipv4Settings[`${device}/rp_filter`] !== undefined && effective(device) === 1;
  const own: Complaint[] = strict('sluice_host')
    ? [
        {
          severity: 'warning',
          what: 'rp_filter is strict on sluice_host: somebody has set it after the agent did',
          meaning: 'what pods send to the node or through its stack is dropped where the way back leads elsewhere',
          remedy:
            'sysctl -w net.ipv4.conf.sluice_host.rp_filter=2; who sets it? grep -r rp_filter /etc/sysctl.d /run/sysctl.d /usr/lib/sysctl.d',
        },
      ]
    : [];
  const facing = devices.filter((device) => device.selected).map(({ name }) => name);
  const filtered = facing.filter(strict);
  if (filtered.length === 0) return own;
  const several = facing.length > 1;
  return [
    ...own,
    {
      severity: several ? 'warning' : 'note',
      what: `rp_filter is strict on ${filtered.join(', ')}${ipv4Settings['all/rp_filter'] === '1' ? ' (net.ipv4.conf.all.rp_filter is 1)' : ''}`,
      meaning: several
        ? `with ${facing.length} devices packets of other nodes may come by another one than the answers leave by: the kernel drops those`
        : "Sluice's own packets are not filtered; only those of the tunnel, should they come by a device that has no route back",
      remedy: `sysctl -w ${filtered.map((name) => `net.ipv4.conf.${name}.rp_filter=2`).join(' ')}`,
    },
  ];
}

function forwardingCheck({ ipv4Settings, ipv6Settings, settings, links }: NetworkFacts): Complaint[] {
  const off = [
    ...(settings.ipv4 && ipv4Settings['all/forwarding'] === '0' ? ['net.ipv4.ip_forward'] : []),
    ...(settings.ipv6 && ipv6Settings['all/forwarding'] === '0' ? ['net.ipv6.conf.all.forwarding'] : []),
  ];
  if (off.length === 0) return [];
  const isInstalled = links.some(({ name }) => name === 'sluice_host');
  const remedy = `sysctl -w ${off.map((name) => `${name}=1`).join(' ')}`;
  if (!isInstalled) {
    const meaning = 'the agent switches it on when it starts; files in /etc/sysctl.d may switch it off again';
    return [{ severity: 'note', what: `the node does not forward (${off.join(', ')} is 0)`, meaning, remedy }];
  }
  return [
    {
      severity: 'error',
      what: `the node does not forward: somebody has set ${off.join(' and ')} to 0`,
      meaning: "pods' packets that the node's stack should pass on are dropped",
      remedy: `${remedy}; who sets it? grep -r forward /etc/sysctl.d /run/sysctl.d /usr/lib/sysctl.d`,
    },
  ];
}

function ipv6Check({ settings, ipv6Settings }: NetworkFacts): Complaint[] {
  if (!settings.ipv6) return [];
  const disabled = ipv6Settings['all/disable_ipv6'];
  if (disabled === '0') return [];
  return [
    {
      severity: 'warning',
      what:
        disabled === undefined
          ? 'the kernel has no IPv6'
          : 'IPv6 is switched off (net.ipv6.conf.all.disable_ipv6 is 1)',
      meaning: 'pods have no IPv6 addresses, though the values ask for them',
      remedy: 'sysctl -w net.ipv6.conf.all.disable_ipv6=0 (or boot without ipv6.disable=1), or set ipv6.enabled: false',
    },
  ];
}

const fillMax = 0.8;
const neighboursNeeded = 1024;

function neighbourCheck({ neighbours }: NetworkFacts): Complaint[] {
  return ([4, 6] as const).flatMap((family): Complaint[] => {
    const usage = neighbours[family];
    if (usage === undefined) return [];
    const isFull = usage.used >= fillMax * usage.max;
    if (!isFull && usage.max >= neighboursNeeded) return [];
    return [
      {
        severity: 'warning',
        what: `the IPv${family} neighbour table has ${usage.used} of at most ${usage.max} rows`,
        meaning: 'when it is full the node reaches no neighbour that it does not know yet ("neighbour table overflow")',
        remedy: `sysctl -w net.ipv${family}.neigh.default.gc_thresh3=${Math.max(usage.max * 4, neighboursNeeded * 4)}`,
      },
    ];
  });
}

function tunnelPortCheck({ tunnelPortHolders, settings }: NetworkFacts): Complaint[] {
  if (tunnelPortHolders.length === 0) return [];
  return [
    {
      severity: 'error',
      what: `UDP port ${settings.tunnelPort} is taken by ${tunnelPortHolders.join(', ')}`,
      meaning: "the tunnel's device cannot be made, or does not get the packets of other nodes",
      remedy: tunnelPortHolders[0]?.startsWith('device ')
        ? `ip link delete ${tunnelPortHolders[0].slice('device '.length)}; or set another tunnelPort, the same on all nodes`
        : 'end that process, or set another tunnelPort, the same on all nodes',
    },
  ];
}

function agentPortCheck({ agentPortHolders }: NetworkFacts): Complaint[] {
  return agentPortHolders.map(({ port, holders }) => ({
    severity: 'warning',
    what: `TCP port ${port} is taken by ${holders.join(', ')}`,
    meaning: "the agent's metrics cannot be served there",
    remedy: 'end that process, or set another prometheus.port',
  }));
}

/** A process that got such a port as its own source would see its answers go to the service. */
function nodePortCheck({ settings, localPorts, reservedPorts, links }: NetworkFacts): Complaint[] {
  const { nodePorts, reservesNodePorts } = settings;
  const given = nodePorts && ephemeralPorts(nodePorts, localPorts, reservedPorts);
  if (nodePorts === undefined || given === undefined) return [];
  const isInstalled = links.some(({ name }) => name === 'sluice_host');
  const isReservable = leavesPorts(nodePorts, localPorts, reservedPorts);
  const willReserve = reservesNodePorts && !isInstalled && isReservable;
  const reserved = `${reservedPorts === '' ? '' : `${reservedPorts},`}${nodePorts.first}-${nodePorts.last}`;
  return [
    {
      severity: willReserve ? 'note' : 'warning',
      what: `the kernel gives ports ${given.first} to ${given.last} to whoever asks for any (net.ipv4.ip_local_port_range is ${localPorts.replace(/\s+/, ' to ')}), and services may have them as NodePorts`,
      meaning: willReserve
        ? 'the agent reserves them when it starts (nodePort.autoProtectPortRange)'
        : "a connection of the node's own that is given such a port loses its answers to the service that has it, and a server that asks for any port is refused",
      remedy: isReservable
        ? `sysctl -w net.ipv4.ip_local_reserved_ports=${reserved}${reservesNodePorts ? '' : '; or set nodePort.autoProtectPortRange: true'}`
        : 'make nodePort.range and --service-node-port-range of the API server smaller: reserved as it is, it would leave the node no ports for its own connections',
    },
  ];
}

/** kube-proxy sets it for NodePorts at loopback, and leaves it behind (CVE-2020-8558). */
function loopbackCheck({ ipv4Settings }: NetworkFacts): Complaint[] {
  const open = Object.keys(ipv4Settings).filter((name) => /\/route_localnet$/.test(name) && ipv4Settings[name] === '1');
  if (open.length === 0) return [];
  const names = open.map((name) => `net.ipv4.conf.${name.replace('/', '.')}`);
  return [
    {
      severity: 'warning',
      what: `${names.join(', ')} is 1: packets from the network may be for 127.0.0.1`,
      meaning:
        'neighbours reach what listens at loopback of this node only; Sluice drops such packets at the devices that it has chosen and at pods, and sees no others',
      remedy: `sysctl -w ${names.map((name) => `${name}=0`).join(' ')}; Sluice serves NodePorts at loopback without it (nodePort.addresses)`,
    },
  ];
}
