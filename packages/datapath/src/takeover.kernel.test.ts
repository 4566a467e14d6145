// Packets whose connections stand in the former tables alone, while an upgrade takes them over.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Address, packet, parseAddress } from '@sluice/net';
import { type Bench, createBench, gateway, neighbour, pod } from '../test/programs.ts';
import { TCP, UDP, writeService } from '../test/services.ts';
import { DropReason, FrontendFlag } from './index.ts';

const serviceAddress = parseAddress('10.96.0.10');
const world = { client: parseAddress('198.51.100.7'), backend: parseAddress('203.0.113.9') } as const;
const balancerAddress = parseAddress('192.0.2.80');

function takeOver({ maps }: Bench): void {
  const now = process.hrtime.bigint();
  maps.takeovers.update(0, { strictNs: now + 60_000_000_000n, untilNs: now + 90_000_000_000n });
}

function settle({ maps }: Bench): void {
  maps.takeovers.update(0, { strictNs: 0n, untilNs: 0n });
}

/** As where they are in other tables. */
function hideConnections({ maps: { conntrack, conntrackNew } }: Bench): void {
  for (const table of [conntrack, conntrackNew]) for (const [tuple] of [...table.entries()]) table.delete(tuple);
}

test('a datagram whose connection is not copied yet is not dropped, and goes where the ones before went', () => {
  using bench = createBench();
  const backends = Array.from({ length: 100 }, (_, index) => ({
    ...{ id: index + 1, address: neighbour.ipv4, port: 8_000 + index },
  }));
  writeService(bench.maps, { id: 1, address: serviceAddress, port: 53, protocol: UDP, backends });
  takeOver(bench);
  const chosen = (sourcePort: number) => {
    const sent = packet()
      .ethernet({ source: pod.mac, destination: gateway.mac })
      .ipv4({ source: pod.ipv4, destination: serviceAddress })
      .udp({ sourcePort, destinationPort: 53 })
      .payload();
    const ports = [1, 2, 3].map(() => {
      const { packet: left, action } = bench.run('pod_from_pod', sent);
      assert.equal(action, 'redirect');
      hideConnections(bench);
      return left.udp?.destinationPort;
    });
    assert.deepEqual(new Set(ports).size, 1, ports.join());
    return ports[0];
  };
  const clients = Array.from({ length: 100 }, (_, index) => chosen(40_000 + index));
  assert.ok(new Set(clients).size > 30, 'clients are spread all the same');
});

test('what the node forwards for a service does not leave untranslated, nor is anything else held up for long', () => {
  using bench = createBench();
  const flags = FrontendFlag.External;
  const backends = [{ id: 1, address: world.backend, port: 8080 }];
  writeService(bench.maps, { id: 1, address: balancerAddress, port: 80, protocol: TCP, flags, backends });
  const forwarded = (source: Address, destination: Address, tcpFlags: string) => {
    const sent = packet().ethernet().ipv4({ source, destination }).tcp({ flags: tcpFlags }).payload();
    const { drops } = bench.run('netdev_to_network', sent);
    return drops.map(({ reason }) => reason);
  };
  const { client, backend } = world;
  takeOver(bench);
  assert.deepEqual(forwarded(client, backend, 'A'), [DropReason.TablesTakenOver]);
  assert.deepEqual(forwarded(balancerAddress, client, 'A'), [], 'an answer, as it was translated');
  assert.deepEqual(forwarded(client, backend, 'S'), [], 'who begins something');
  const now = process.hrtime.bigint();
  bench.maps.takeovers.update(0, { strictNs: now, untilNs: now + 90_000_000_000n });
  assert.deepEqual(forwarded(client, backend, 'A'), [], 'an upgrade that does not end');
  settle(bench);
  assert.deepEqual(forwarded(client, backend, 'A'), []);
});
