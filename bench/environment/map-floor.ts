/** What the kernel alone takes for as many rows as a node has of services. */
import { join } from 'node:path';
import { BpfMap, openMap } from '@sluice/bpf';
import { backendsMap, frontendsMap, slotsMap } from '@sluice/datapath';
import { addressOf, bpf, SystemError } from '@sluice/ffi';

export interface MapFloor {
  readonly rows: number;
  readonly seconds: number;
}

/** Writes so many rows in batches into empty maps like those that a sync of services fills; of others it writes a handful. */
export function mapFloor(bpffs: string): MapFloor {
  const floors = [
    floorOf(bpffs, frontendsMap.name, (map) => openMap(map, frontendsMap).count()),
    floorOf(bpffs, slotsMap.name, (map) => openMap(map, slotsMap).count()),
    floorOf(bpffs, backendsMap.name, (map) => openMap(map, backendsMap).count()),
  ];
  const sum = (of: (floor: MapFloor) => number) => floors.reduce((total, floor) => total + of(floor), 0);
  return { rows: sum(({ rows }) => rows), seconds: sum(({ seconds }) => seconds) };
}

function floorOf(bpffs: string, name: string, count: (map: BpfMap) => number): MapFloor {
  using pinned = BpfMap.openPinned(join(bpffs, 'sluice/maps', name));
  using empty = BpfMap.create(pinned.info);
  const rows = count(pinned);
  const batches = batchesFor(empty, rows);
  const began = performance.now();
  for (const batch of batches) write(batch);
  const seconds = (performance.now() - began) / 1000;
  return { rows, seconds };
}

/** Made before the clock runs: what is told is the kernel's part, without any of ours. */
interface Batch {
  readonly attributes: Uint8Array;
  /** That the attributes point to. */
  readonly memory: readonly Uint8Array[];
}

const batchRows = 4096;
const BPF_MAP_UPDATE_BATCH = 26;

/** Keys differ in their first four bytes, values are zero. */
function batchesFor({ fd, info }: BpfMap, rows: number): Batch[] {
  return Array.from({ length: Math.ceil(rows / batchRows) }, (_, number) => {
    const first = number * batchRows;
    const count = Math.min(batchRows, rows - first);
    const [keys, values] = [new Uint8Array(count * info.keySize), new Uint8Array(count * info.valueSize)];
    const keyView = new DataView(keys.buffer);
    for (let row = 0; row < count; row += 1) keyView.setUint32(row * info.keySize, first + row, true);
    return { attributes: updateBatch({ fd, keys, values, count }), memory: [keys, values] };
  });
}

interface UpdateBatch {
  readonly fd: number;
  readonly keys: Uint8Array;
  readonly values: Uint8Array;
  readonly count: number;
}

/** `batch` of `union bpf_attr`. */
function updateBatch({ fd, keys, values, count }: UpdateBatch): Uint8Array {
  const attributes = new Uint8Array(56);
  const view = new DataView(attributes.buffer);
  view.setBigUint64(16, addressOf(keys), true);
  view.setBigUint64(24, addressOf(values), true);
  view.setUint32(32, count, true);
  view.setUint32(36, fd, true);
  return attributes;
}

function write({ attributes }: Batch): void {
  const result = bpf(BPF_MAP_UPDATE_BATCH, attributes);
  if (result < 0) throw new SystemError('bpf', -result, 'write a batch of the floor');
}
