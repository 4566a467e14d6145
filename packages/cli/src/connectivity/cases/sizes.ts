/** Large packets, fragments and streams, on every kind of path. */
import { type Case, defineCase, type Family, families, type Surroundings } from '../case.ts';
import { podAddress, requireNodeOf } from './look-up.ts';
import { type Talk, talk, talkStep, targetOf } from './talk.ts';

const hint =
  'sluice status on both nodes: Routing tells the MTU of each route; does the network between carry it plus the tunnel?';
const STREAM_BYTES = 4_000_000;
const DATAGRAM_BYTES = 65_000;

const paths = [
  ['pod-to-pod/same-node', 'client', { pod: 'echo-same-node' }],
  ['pod-to-pod/other-node', 'client', { pod: 'echo-other-node' }],
  ['pod-to-service', 'client', { service: 'echo-other-node' }],
  ['pod-to-host/local', 'client', { pod: 'host-near' }],
  ['pod-to-host/remote', 'client', { pod: 'host-far' }],
  ['host-to-pod/same-node', 'host-near', { pod: 'echo-same-node' }],
  ['host-to-pod/other-node', 'host-near', { pod: 'echo-other-node' }],
] as const satisfies readonly (readonly [name: string, from: string, to: Talk['to']])[];

export function sizeCases(around: Surroundings): Case[] {
  return families.flatMap((family) =>
    paths.flatMap(([path, from, to]) => [
      datagram(around, { path, from, to, family }),
      stream(around, { path, from, to, family }),
      ...('pod' in to
        ? [fullPacket(around, { path, from, to, family }), tooBig(around, { path, from, to, family })]
        : []),
      ...('pod' in to && from === 'client' ? [fragments(around, { path, from, to, family })] : []),
    ]),
  );
}

interface Path<To extends Talk['to'] = Talk['to']> {
  readonly path: string;
  readonly from: string;
  readonly to: To;
  readonly family: Family;
}

function datagram(around: Surroundings, { path, from, to, family }: Path): Case {
  return talk(around, {
    name: `sizes/datagram/${path}`,
    summary: `a datagram of ${DATAGRAM_BYTES} bytes goes there and back in fragments`,
    ...{ hint, from, to, family, protocol: 'udp', extra: ['--bytes', String(DATAGRAM_BYTES)] },
  });
}

function stream(around: Surroundings, { path, from, to, family }: Path): Case {
  const text = {
    name: `sizes/stream/${path}/tcp/ipv${family}`,
    summary: `${STREAM_BYTES} bytes go there and back over TCP, in segments as large as the path's MTU allows`,
    hint,
  };
  return defineCase(text, () => {
    const extra = ['--bytes', String(STREAM_BYTES), '--timeout', '5000'];
    const step = talkStep(around, { from, to, family, protocol: 'tcp', extra });
    const { expected } = step;
    return [
      { ...step, expected: expected.outcome === 'answered' ? { ...expected, isInFullSegments: true } : expected },
    ];
  });
}

function fullPacket(around: Surroundings, { path, from, to: { pod }, family }: Path<{ readonly pod: string }>): Case {
  const text = {
    name: `sizes/full-packet/${path}/icmp/ipv${family}`,
    summary: "a packet as large as the route's MTU, which may not be fragmented, comes back",
    hint,
  };
  return defineCase(text, () => {
    requireNodeOf(around, pod);
    const target = podAddress(around, pod, family);
    const command = ['lab-pod', 'ping', target, '--length', 'mtu', '--df'];
    return [{ from, command, expected: { outcome: 'echoed', from: target, isFull: true } }];
  });
}

function tooBig(around: Surroundings, { path, from, to: { pod }, family }: Path<{ readonly pod: string }>): Case {
  const text = {
    name: `sizes/too-big/${path}/icmp/ipv${family}`,
    summary: 'a packet one byte larger, which may not be fragmented, is refused with the size that fits',
    hint,
  };
  return defineCase(text, () => {
    requireNodeOf(around, pod);
    const command = ['lab-pod', 'ping', podAddress(around, pod, family), '--length', 'mtu+1', '--df'];
    // From a node to its own pod there is no link that it is too big for.
    return [{ from, command, expected: { outcome: 'too-big', mayArrive: path === 'host-to-pod/same-node' } }];
  });
}

function fragments(around: Surroundings, { path, to: { pod }, family }: Path<{ readonly pod: string }>): Case {
  const text = {
    name: `sizes/fragments-reversed/${path}/udp/ipv${family}`,
    summary: 'a datagram whose last fragment comes first arrives',
    hint: 'sluice monitor --pod sluice-test/packets on the node shows what became of the fragments',
  };
  return defineCase(text, () => {
    const from = 'packets';
    const { expected } = talkStep(around, { from, to: { pod }, family, protocol: 'udp' });
    const { address, port } = targetOf(around, { pod }, family);
    const target = [address, String(port)];
    const command = ['lab-pod', 'datagram', ...target, '--bytes', '12000', '--fragment', '1000', '--reverse'];
    return [{ from, command, expected }];
  });
}
