/** What the kernel of a node has of services, by its pinned maps, and whether that is what the made-up API server told. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { BpfMap, type MapDescriptor, openMap } from '@sluice/bpf';
import { backendsMap, frontendsMap, slotsMap } from '@sluice/datapath';

/** A few milliseconds for 10,000. */
export function frontendCount(bpffs: string): number {
  return opened(bpffs, frontendsMap, (map) => map.count());
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
