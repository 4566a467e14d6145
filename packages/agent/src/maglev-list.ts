import type { DatapathMaps, Frontend, FrontendKey } from '@sluice/datapath';
import { type FrontendRow, maglevChunkSlots } from '@sluice/loadbalancer';
import { protocolName } from '@sluice/model';
import { type Address, formatAddressPort, parseAddress, prefixContains } from '@sluice/net';
import { knownParameters, prefixOf } from './query.ts';
import type { MaglevReport } from './report.ts';
import { serviceFilter, serviceParameters } from './service-filter.ts';

export type MaglevMaps = Pick<DatapathMaps, 'frontends' | 'slots' | 'backends' | 'maglev'>;

export interface MaglevListOptions {
  readonly maps: MaglevMaps;
  readonly frontends: readonly FrontendRow[];
  readonly filter: MaglevFilter;
}

export interface MaglevFilter {
  isWanted(row: FrontendRow | undefined): boolean;
  isBackendWanted(address: Address | undefined): boolean;
}

/** `service`: the beginning of its name, with or without its namespace; `backend`: an address or a prefix. */
export function maglevFilter(parameters: URLSearchParams): MaglevFilter {
  const query = knownParameters(parameters, [...serviceParameters, 'backend']);
  const isOf = serviceFilter(query);
  const prefixes = query.getAll('backend').map((text) => prefixOf('backend', text));
  return {
    isWanted: (row) => isOf(row === undefined ? [] : [row.service]),
    isBackendWanted: (address) =>
      prefixes.length === 0 || (address !== undefined && prefixes.some((prefix) => prefixContains(prefix, address))),
  };
}

/** Every table that the kernel has, a row for each of its backends. */
export function* maglevRows({ maps, frontends, filter }: MaglevListOptions): Generator<MaglevReport> {
  const rows = new Map(frontends.filter(({ id }) => id !== 0).map((row) => [row.id, row]));
  for (const [key, frontend] of maps.frontends.entries()) {
    if (frontend.maglevSize === 0) continue;
    const row = rows.get(frontend.serviceId);
    if (filter.isWanted(row)) yield* tableRows({ maps, key, frontend, row, filter });
  }
}

interface Table extends Pick<MaglevListOptions, 'maps' | 'filter'> {
  readonly key: FrontendKey;
  readonly frontend: Frontend;
  readonly row: FrontendRow | undefined;
}

function* tableRows({ maps, key, frontend, row, filter }: Table): Generator<MaglevReport> {
  const { serviceId, generation, maglevSize: size } = frontend;
  const table = {
    frontend: row?.key ?? `${formatAddressPort(key.address ?? unspecified, key.port)}/${protocolName(key.protocol)}`,
    service: row === undefined ? '' : `${row.service}${row.portName === '' ? '' : `:${row.portName}`}`,
    size,
  };
  const { slots, missing } = countSlots(maps, frontend);
  const nodes = new Map(row?.backends.map(({ key, nodeName }) => [key, nodeName]));
  let lost = missing;
  for (const [slot, entries] of slots) {
    const id = maps.slots.lookup({ serviceId, generation, slot })?.backendId ?? 0;
    const found = maps.backends.lookup(id);
    if (found === undefined) lost += entries;
    if (found === undefined || !filter.isBackendWanted(found.address)) continue;
    const backend = `${formatAddressPort(found.address ?? unspecified, found.port)}/${protocolName(found.protocol)}`;
    yield { ...table, backend, node: nodes.get(backend) ?? '', entries, problem: undefined };
  }
  if (lost > 0) yield { ...table, backend: '', node: '', entries: lost, problem: lostText };
}

const lostText = 'these entries lead nowhere: the next comparison makes the table anew';

/** How many entries lead to each slot, and how many are in chunks that are not there. */
function countSlots(maps: MaglevMaps, { serviceId, generation, maglevSize }: Frontend) {
  const slots = new Map<number, number>();
  let missing = 0;
  for (let chunk = 0; chunk * maglevChunkSlots < maglevSize; chunk += 1) {
    const count = Math.min(maglevChunkSlots, maglevSize - chunk * maglevChunkSlots);
    const found = maps.maglev.lookup({ serviceId, generation, chunk });
    if (found === undefined) missing += count;
    for (const slot of found?.slots.subarray(0, count) ?? []) slots.set(slot, (slots.get(slot) ?? 0) + 1);
  }
  return { slots: [...slots].sort(([a], [b]) => a - b), missing };
}

const unspecified = parseAddress('::');
