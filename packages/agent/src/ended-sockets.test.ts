import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Datapath, InspectedTranslation, StaleSocket } from '@sluice/datapath';
import { type EndpointSliceObject, objectKey, parseEndpointSlice } from '@sluice/kube';
import { protocolNumbers } from '@sluice/model';
import { parseAddress } from '@sluice/net';
import { fakeClock, silentLogger } from '@sluice/runtime';
import { Controllers, Table } from '@sluice/state';
import { EndedSockets } from './ended-sockets.ts';
import { ownNetnsCookie } from './netns-cookie.ts';

const pod = parseAddress('10.244.1.7');

function slice(ready: boolean): EndpointSliceObject {
  return parseEndpointSlice({
    metadata: { namespace: 'kube-system', name: 'dns-1', labels: { 'kubernetes.io/service-name': 'dns' } },
    addressType: 'IPv4',
    ports: [{ port: 53, protocol: 'UDP' }],
    endpoints: [{ addresses: [pod], conditions: { ready, serving: ready } }],
  });
}

/** A resolver's socket of the node, which a service has led to the pod; the kernel's row of that outlives it. */
function world(hostPort?: number) {
  const clock = fakeClock();
  const endpointSlices = new Table<EndpointSliceObject>({ name: 'slices', key: objectKey, columns: {} });
  endpointSlices.markInitialized('test');
  const backend = { address: pod, port: 53, protocol: protocolNumbers.UDP };
  const translation = {
    ...{ socketCookie: 1n, netnsCookie: ownNetnsCookie(), protocol: protocolNumbers.UDP },
    translation: { backend: pod, backendPort: 53, backendId: 9 },
  } as unknown as InspectedTranslation;
  const ended: StaleSocket[] = [];
  const datapath = {
    maps: { backends: { lookup: () => backend } },
    inspection: () => ({ translations: () => [translation] }),
    staleSockets: () => ({
      end(sockets: readonly StaleSocket[]) {
        ended.push(...sockets);
        return sockets.map(({ cookie }) => cookie);
      },
    }),
  } as unknown as Datapath;
  const hostPorts = hostPort === undefined ? [] : [{ containerPort: hostPort, protocol: 'UDP' }];
  const endpoints = { table: { list: () => [{ ipv4: pod, ipv6: undefined, hostPorts }] } };
  const part = new EndedSockets({
    ...{ enabled: true, ofPods: true, ofTcp: false, kubernetes: { endpointSlices }, clock, log: silentLogger },
    controllers: new Controllers(clock),
    datapath: () => datapath,
    endpoints: () => endpoints as never,
  });
  part.start();
  return { clock, endpointSlices, ended, part };
}

test('a socket is ended as soon as its backend has left, though the kernel still has a row of that', async () => {
  const { clock, endpointSlices, ended, part } = world();
  endpointSlices.upsert(slice(true));
  await clock.advanceAsync(2_000);
  assert.deepEqual(ended, []);
  endpointSlices.upsert(slice(false));
  await clock.advanceAsync(100);
  assert.deepEqual(ended, [{ cookie: 1n, backend: { address: pod, port: 53 } }]);
  await part.stop();
});

test('one that came by the pod’s host port goes on', async () => {
  const { clock, endpointSlices, ended, part } = world(53);
  endpointSlices.upsert(slice(true));
  endpointSlices.upsert(slice(false));
  await clock.advanceAsync(2_000);
  assert.deepEqual(ended, []);
  await part.stop();
});
