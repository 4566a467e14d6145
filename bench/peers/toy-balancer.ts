/** A load balancer of a few lines at XDP (bench/bpf/toy-balancer.bpf.c), full of services and connections: what is left of the price when nothing else is done. */
import assert from 'node:assert/strict';
import { BpfMap, bytesCodec, loadObject, MapType, openMap, type Program, parseObject } from '@sluice/bpf';
import { compileBpf } from '@sluice/testing';
import { programOf } from '../environment/test-runs.ts';

export interface ToyBalancer extends Disposable {
  readonly program: Program;
  /** Connections that it has seen, those that it was given included. */
  connections(): number;
}

export interface ToyOptions {
  readonly services: number;
  readonly connections: number;
  /** Its service must be one of them: an IPv4 frame over TCP. */
  readonly frame: Uint8Array;
}

const tableSize = 65_537;
const TCP = 6;

export function toyBalancer({ services, connections, frame }: ToyOptions): ToyBalancer {
  using stack = new DisposableStack();
  const spec = parseObject(compileBpf('bench/bpf/toy-balancer.bpf.c'), 'toy-balancer');
  // Without the object's types: rows are written as bytes.
  const create = (name: string, type: number, [keySize, valueSize, maxEntries]: readonly [number, number, number]) => {
    const shape = { name, type, keySize, valueSize, maxEntries, flags: 0 };
    const map = stack.use(BpfMap.create(shape));
    const codecs = { key: bytesCodec(keySize), value: bytesCodec(valueSize), keyLayout: '', valueLayout: '' };
    return { map, rows: openMap(map, { ...shape, ...codecs }) };
  };
  const maps = {
    toy_services: create('toy_services', MapType.hash, [8, 4, 65_536]),
    toy_table: create('toy_table', MapType.array, [4, 4, tableSize]),
    toy_connections: create('toy_connections', MapType.lruHash, [12, 4, 65_536]),
  };
  const given = Object.fromEntries(Object.entries(maps).map(([name, { map }]) => [name, map]));
  const loaded = stack.use(loadObject(spec, { maps: given }));
  maps.toy_services.rows.updateBatch(
    numbers(services).map((index) => [serviceKey(0x0a60_0000 + index, 80), u32(index)]),
  );
  const header = new DataView(frame.buffer, frame.byteOffset);
  const [address, port] = [header.getUint32(30), header.getUint16(36)];
  assert.equal(header.getUint8(23), TCP, 'a frame over TCP');
  maps.toy_services.rows.update(serviceKey(address, port), u32(services));
  maps.toy_table.rows.updateBatch(numbers(tableSize).map((index) => [u32(index), u32(0x0a80_0000 + (index % 1_000))]));
  maps.toy_connections.rows.updateBatch(numbers(connections).map((index) => [flow(index, address, port), u32(index)]));
  const owned = stack.move();
  return {
    program: programOf(loaded, 'toy_balance'),
    connections: () => maps.toy_connections.rows.count(),
    [Symbol.dispose]: () => owned.dispose(),
  };
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

function u32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

/** struct service_key */
function serviceKey(address: number, port: number): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, address);
  view.setUint16(4, port);
  view.setUint16(6, TCP, true);
  return bytes;
}

/** struct flow, of another client each. */
function flow(index: number, destination: number, port: number): Uint8Array {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0xc0a8_0000 + (index >> 8));
  view.setUint32(4, destination);
  view.setUint16(8, 1024 + (index & 0xff));
  view.setUint16(10, port);
  return bytes;
}
