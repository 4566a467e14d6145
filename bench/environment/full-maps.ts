/** What the kernel of a node has of services, by its pinned maps, and whether that is what the made-up API server told. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BpfMap, type MapDescriptor, openMap } from '@sluice/bpf';
import { backendsMap, frontendsMap, slotsMap } from '@sluice/datapath';
import { parseAddress } from '@sluice/net';

/** A few milliseconds for 10,000. */
export function frontendCount(bpffs: string): number {
  return opened(bpffs, frontendsMap, (map) => map.count());
}

const TCP = 6;
const untilTimeoutMs = 10_000;

/** Waits until the kernel of a node leads these frontends, by TCP, to these addresses and to no others. */
export async function untilServedBy(
  bpffs: string,
  frontends: readonly { readonly address: string; readonly port: number }[],
  addresses: readonly string[],
): Promise<void> {
  const wanted = [...addresses].sort().join();
  const isServed = () => frontends.every((frontend) => servedBy(bpffs, frontend).sort().join() === wanted);
  for (const end = performance.now() + untilTimeoutMs; !isServed(); await delay(5)) {
    if (performance.now() > end) throw new Error(`not served by ${wanted} after ${untilTimeoutMs} ms`);
  }
}

function servedBy(bpffs: string, { address, port }: { address: string; port: number }): string[] {
  const key = { address: parseAddress(address), port, protocol: TCP, scope: 0 };
  const frontend = opened(bpffs, frontendsMap, (map) => map.lookup(key));
  if (!frontend) return [];
  const { serviceId, generation, backendCount } = frontend;
  const ids = opened(bpffs, slotsMap, (map) =>
    Array.from({ length: backendCount }, (_, slot) => map.lookup({ serviceId, generation, slot })?.backendId ?? 0),
  );
  return opened(bpffs, backendsMap, (map) => ids.map((id) => map.lookup(id)?.address ?? ''));
}

/** Every filler service leads to its own endpoints and to no others, at their port. */
export function assertFillers(
  bpffs: string,
  { services, endpointsPerService }: { services: number; endpointsPerService: number },
): void {
  const backends = new Map(opened(bpffs, backendsMap, (map) => [...map.entries()]));
  const slots = new Map<string, number[]>();
  for (const [{ serviceId, generation, slot }, { backendId }] of opened(bpffs, slotsMap, (map) => [...map.entries()])) {
    const key = `${serviceId}.${generation}`;
    const ids = slots.get(key) ?? [];
    ids[slot] = backendId;
    slots.set(key, ids);
  }
  let seen = 0;
  for (const [key, frontend] of opened(bpffs, frontendsMap, (map) => [...map.entries()])) {
    const [first = 0, second = 0, third = 0, fourth = 0] = (key.address ?? '').split('.').map(Number);
    if (key.port === 0 || first !== 10 || second < 97 || second > 100) continue;
    const service = ((second - 97) << 16) | (third << 8) | fourth;
    const found = (slots.get(`${frontend.serviceId}.${frontend.generation}`) ?? [])
      .flatMap((id) => backends.get(id) ?? [])
      .map(({ address, port }) => `${address}:${port}`)
      .sort();
    const wanted = Array.from({ length: endpointsPerService }, (_, index) => {
      const number = service * endpointsPerService + index;
      return `10.${176 + (number >> 16)}.${(number >> 8) & 0xff}.${number & 0xff}:8080`;
    }).sort();
    assert.deepEqual(found, wanted, `service ${service} leads elsewhere`);
    seen += 1;
  }
  assert.equal(seen, services, 'services in the kernel');
}

function opened<Key, Value, Result>(
  bpffs: string,
  descriptor: MapDescriptor<Key, Value>,
  read: (map: ReturnType<typeof openMap<Key, Value>>) => Result,
): Result {
  using map = BpfMap.openPinned(join(bpffs, 'sluice/maps', descriptor.name));
  return read(openMap(map, descriptor));
}
