// Services in the maps, as the load balancer writes them.
import { type Address, familyOf, parseAddress, parsePrefix } from '@sluice/net';
import { BackendState, type DatapathMaps, FrontendFlag } from '../src/index.ts';

export const TCP = 6;
export const UDP = 17;

/** MAGLEV_CHUNK_SLOTS of C. */
const CHUNK_SLOTS = 2_000;

export interface TestService {
  readonly id: number;
  readonly address: Address;
  readonly port: number;
  readonly protocol: number;
  readonly backends: readonly { readonly id: number; readonly address: Address; readonly port: number }[];
  readonly generation?: number;
  readonly affinitySeconds?: number;
  /** Shared by frontends; each of them needs a generation of its own then. */
  readonly affinityId?: number;
  /** FrontendFlag */
  readonly flags?: number;
  /** FrontendScope */
  readonly scope?: number;
  /** Slots, by the entries of a Maglev table. */
  readonly table?: Uint16Array;
  /** Whom FrontendFlag.SourceRanges lets in. */
  readonly sourceRanges?: readonly string[];
}

export function writeService(maps: DatapathMaps, service: TestService): void {
  const { id, protocol, backends, generation = 1, affinitySeconds = 0, flags = 0, scope = 0 } = service;
  for (const [slot, backend] of backends.entries()) {
    const { address, port } = backend;
    maps.backends.update(backend.id, { address, port, protocol, state: BackendState.Active });
    maps.slots.update({ serviceId: id, generation, slot }, { backendId: backend.id });
  }
  for (const range of service.sourceRanges ?? []) {
    const { address, length } = parsePrefix(range);
    const prefixLength = length + (familyOf(address) === 4 ? 160 : 64);
    maps.sourceRanges.update({ prefixLength, serviceId: id, generation, address }, 1);
  }
  for (let chunk = 0; chunk * CHUNK_SLOTS < (service.table?.length ?? 0); chunk += 1) {
    const slots = new Uint16Array(CHUNK_SLOTS);
    slots.set(service.table?.subarray(chunk * CHUNK_SLOTS, (chunk + 1) * CHUNK_SLOTS) ?? []);
    maps.maglev.update({ serviceId: id, generation, chunk }, { checksum: 0, slots });
  }
  const frontend = {
    serviceId: id,
    generation,
    backendCount: backends.length,
    affinitySeconds,
    affinityId: service.affinityId ?? 0,
    maglevSize: service.table?.length ?? 0,
    flags: flags | (affinitySeconds > 0 ? FrontendFlag.Affinity : 0),
  };
  const key = { address: service.address, port: service.port, protocol, scope };
  maps.frontends.update(key, frontend);
  // "This address has frontends": port 0, protocol 0. NodePorts are at the node's own addresses.
  if (isUnspecified(service.address)) return;
  maps.frontends.update({ ...key, port: 0, protocol: 0, scope: 0 }, { ...frontend, backendCount: 0 });
}

function isUnspecified(address: Address): boolean {
  return address === parseAddress('0.0.0.0') || address === parseAddress('::');
}
