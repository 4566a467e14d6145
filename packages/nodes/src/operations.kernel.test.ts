// Needs root.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatPrefix, parseAddress, parsePrefix } from '@sluice/net';
import { openNetlink, routeProtocol } from '@sluice/netlink';
import { operationsCompliance } from '@sluice/state/compliance';
import { temporaryNetworkNamespace } from '@sluice/testing';
import type { NodeRoute } from './desired.ts';
import { routeOperations } from './reconcilers.ts';

/** Index of the device in a new namespace: the loopback device is 1. */
const ifindex = 10;
const sources = { v4: parseAddress('10.244.0.1'), v6: parseAddress('fd00:10:244::1') };

function route(text: string, source: NodeRoute['source']): NodeRoute {
  return { destination: parsePrefix(text), ifindex, source, mtu: 1450 };
}

operationsCompliance<NodeRoute>({
  name: 'node-routes',
  rows: [
    route('10.244.1.0/24', sources.v4),
    route('fd00:10:244:1::/64', sources.v6),
    route('10.96.0.0/16', sources.v4),
  ],
  key: (row) => formatPrefix(row.destination),
  changed: (row) => ({ ...row, mtu: 1350 }),
  make() {
    const stack = new DisposableStack();
    const namespace = stack.use(temporaryNetworkNamespace());
    const netlink = stack.use(openNetlink({ namespace: namespace.path }));
    netlink.links.create({ kind: 'bridge', name: 'sluice_host', ifindex, up: true });
    netlink.addresses.add({ ifindex, address: sources.v4, length: 32 });
    netlink.addresses.add({ ifindex, address: sources.v6, length: 128, noDad: true });
    const ours = () => netlink.routes.list({ protocol: routeProtocol.sluice });
    return {
      operations: routeOperations(netlink),
      actual: () =>
        new Map(
          ours().map(({ destination, ifindex = 0, source, mtu = 0 }) => [
            formatPrefix(destination),
            { destination, ifindex, source: source ?? sources.v4, mtu },
          ]),
        ),
      addForeign() {
        netlink.routes.replace({ destination: parsePrefix('10.9.0.0/16'), ifindex, source: sources.v4 });
        return '10.9.0.0/16';
      },
      async [Symbol.asyncDispose]() {
        stack.dispose();
      },
    };
  },
});

test("the route of the node's own network stays, though pods are said to be there", () => {
  using namespace = temporaryNetworkNamespace();
  using netlink = openNetlink({ namespace: namespace.path });
  netlink.links.create({ kind: 'bridge', name: 'sluice_host', ifindex, up: true });
  netlink.addresses.add({ ifindex, address: sources.v4, length: 32 });
  netlink.links.create({ kind: 'bridge', name: 'lan', ifindex: ifindex + 1, up: true });
  netlink.addresses.add({ ifindex: ifindex + 1, address: parseAddress('172.17.0.1'), length: 16 });
  const { update } = routeOperations(netlink);
  const pods = route('172.17.0.0/16', sources.v4);
  assert.throws(
    () => update(pods, formatPrefix(pods.destination)),
    /172\.17\.0\.0\/16 is routed already, by device 11/,
  );
  const found = netlink.routes.list({ family: 4 }).filter((row) => formatPrefix(row.destination) === '172.17.0.0/16');
  assert.deepEqual(
    found.map((row) => [row.ifindex, row.protocol]),
    [[ifindex + 1, 2]],
  );
});
