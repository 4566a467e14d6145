/** What is outside of the cluster, asked by pods and nodes: it sees the node's address and never a pod's. */
import { formatAddressPort } from '@sluice/net';
import {
  type Case,
  defineCase,
  type Expectation,
  type Family,
  families,
  type Protocol,
  protocols,
  type Step,
  type Surroundings,
} from '../case.ts';
import { CLOSED_PORT } from '../workload.ts';
import { worldServer } from './look-up.ts';

const hint =
  'sluice status on the node: Masquerading, and the devices by which packets leave; sluice nat list; tcpdump on the device';
const STREAM_BYTES = 2_000_000;
const DATAGRAM_BYTES = 60_000;
/** For two who use one port at the same time: below the ports that kernels and masquerade choose. */
const SHARED_PORT = 29_876;

export function worldCases(around: Surroundings): Case[] {
  return families.flatMap((family) => [
    ...protocols.flatMap((protocol) => [
      asked(around, { from: 'client', name: 'seen-address', family, protocol }),
      asked(around, { from: 'host-near', name: 'from-host', family, protocol }),
      bulk(around, family, protocol),
      closedPort(around, family, protocol),
      samePort(around, family, protocol),
    ]),
    fragments(around, family),
    ping(around, family),
    fullPacket(around, family),
    ...[1, 2].map((hops) => hopLimit(around, family, hops)),
  ]);
}

interface Asked {
  readonly from: string;
  readonly name: string;
  readonly family: Family;
  readonly protocol: Protocol;
}

function asked(around: Surroundings, { from, name, family, protocol }: Asked): Case {
  const who = from === 'client' ? 'a pod' : 'a node';
  const text = {
    name: `world/${name}/${protocol}/ipv${family}`,
    summary: `${who} asks a server outside, which sees an address of the node`,
    hint,
  };
  return defineCase(text, () => [ask(around, from, family, protocol)]);
}

function ask(
  around: Surroundings,
  from: string,
  family: Family,
  protocol: Protocol,
  ...extra: readonly string[]
): Step {
  const { address, port } = worldServer(around, family);
  return {
    from,
    command: ['client', protocol, address, String(port), ...extra],
    expected: answeredBySomebody(around, family),
  };
}

function answeredBySomebody(around: Surroundings, family: Family): Extract<Expectation, { outcome: 'answered' }> {
  const { address, port } = worldServer(around, family);
  const [near] = around.nodes;
  return { outcome: 'answered', by: undefined, seen: near.addresses, peer: formatAddressPort(address, port) };
}

function bulk(around: Surroundings, family: Family, protocol: Protocol): Case {
  const bytes = protocol === 'tcp' ? STREAM_BYTES : DATAGRAM_BYTES;
  const text = {
    name: `world/${protocol === 'tcp' ? 'stream' : 'datagram'}/${protocol}/ipv${family}`,
    summary: `${bytes} bytes go to a server outside and back, ${protocol === 'tcp' ? 'in segments' : 'in fragments'}`,
    hint,
  };
  // A narrow link on the way costs the first datagram of IPv6: only its loss tells the sender.
  const extra = protocol === 'tcp' ? ['--timeout', '5000'] : ['--count', '2'];
  return defineCase(text, () => [ask(around, 'client', family, protocol, '--bytes', String(bytes), ...extra)]);
}

function closedPort(around: Surroundings, family: Family, protocol: Protocol): Case {
  const text = {
    name: `world/closed-port/${protocol}/ipv${family}`,
    summary: 'a port that is closed outside is refused: the reset or ICMP error finds back to the pod',
    hint,
  };
  return defineCase(text, () => [
    {
      from: 'client',
      command: ['client', protocol, worldServer(around, family).address, String(CLOSED_PORT)],
      expected: { outcome: 'refused' },
    },
  ]);
}

/** The node's own connection and those of two pods, all from one port: masquerade must tell them apart. */
function samePort(around: Surroundings, family: Family, protocol: Protocol): Case {
  const text = {
    name: `world/same-port/${protocol}/ipv${family}`,
    summary: 'the node and two of its pods talk to one server from the same port at the same time',
    hint,
  };
  const extra = ['--source-port', String(SHARED_PORT), '--count', '8', '--interval', '50'];
  const socket = protocol === 'tcp' ? '--stream' : '--unconnected';
  return defineCase(text, () => {
    const step = (from: string, beside?: Step): Step => ({
      ...ask(around, from, family, protocol, socket, ...extra),
      expected: { ...answeredBySomebody(around, family), isEvery: true },
      ...(beside && { beside }),
    });
    return [step('host-near', step('client', step('packets')))];
  });
}

function fragments(around: Surroundings, family: Family): Case {
  const text = {
    name: `world/fragments-reversed/udp/ipv${family}`,
    summary: 'a datagram whose last fragment comes first reaches a server outside',
    hint,
  };
  return defineCase(text, () => {
    const { address, port } = worldServer(around, family);
    const target = [address, String(port)];
    return [
      {
        from: 'packets',
        command: ['lab-pod', 'datagram', ...target, '--bytes', '12000', '--fragment', '1000', '--reverse'],
        expected: answeredBySomebody(around, family),
      },
    ];
  });
}

function ping(around: Surroundings, family: Family): Case {
  const text = { name: `world/icmp/ipv${family}`, summary: 'a pod pings a server outside', hint };
  return defineCase(text, () => {
    const from = worldServer(around, family).address;
    return [
      { from: 'client', command: ['lab-pod', 'ping', from], expected: { outcome: 'echoed', from, isFull: false } },
    ];
  });
}

function fullPacket(around: Surroundings, family: Family): Case {
  const text = {
    name: `world/full-packet/icmp/ipv${family}`,
    summary: "a packet as large as the route's MTU comes back, or the router that it is too big for says so",
    hint,
  };
  return defineCase(text, () => {
    const from = worldServer(around, family).address;
    const command = ['lab-pod', 'ping', from, '--length', 'mtu', '--df', '--count', '2'];
    return [{ from: 'client', command, expected: { outcome: 'echoed', from, isFull: true } }];
  });
}

function hopLimit(around: Surroundings, family: Family, hops: number): Case {
  const who = hops === 1 ? 'the node' : 'the router behind the node';
  const text = {
    name: `world/hop-limit-${hops}/icmp/ipv${family}`,
    summary: `a packet with a hop limit of ${hops} ends at ${who}, which says so: traceroute shows the way`,
    hint,
  };
  return defineCase(text, () => {
    const { address } = worldServer(around, family);
    const command = ['lab-pod', 'ping', address, '--hops', String(hops)];
    return [{ from: 'client', command, expected: { outcome: 'time-exceeded', notFrom: address } }];
  });
}
