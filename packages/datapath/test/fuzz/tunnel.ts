import { join } from 'node:path';
import { loadObject, type Program, parseObject } from '@sluice/bpf';
import { addressOf, bpf, SystemError } from '@sluice/ffi';
import { compileBpf } from '@sluice/testing';

const UPDATE_ELEMENT = 2;

/** A program that gives packets what a tunnel's device would, and goes on as the other one: see tunnel.bpf.c. */
export function programBehindTunnel(target: Program): { readonly fd: number } & Disposable {
  using stack = new DisposableStack();
  const spec = parseObject(compileBpf(join(import.meta.dirname, 'tunnel.bpf.c')), 'tunnel');
  const { programs, maps } = stack.use(loadObject(spec));
  const [program, map] = [programs.get('from_tunnel'), maps.get('target')];
  if (program === undefined || map === undefined) throw new TypeError('tunnel.bpf.c is another object');
  const [key, value] = [Uint32Array.of(0), Uint32Array.of(target.fd)].map((words) => new Uint8Array(words.buffer));
  if (key === undefined || value === undefined) throw new TypeError('no row');
  const attributes = new DataView(new ArrayBuffer(32));
  attributes.setUint32(0, map.fd, true);
  attributes.setBigUint64(8, addressOf(key), true);
  attributes.setBigUint64(16, addressOf(value), true);
  const result = bpf(UPDATE_ELEMENT, new Uint8Array(attributes.buffer));
  if (result < 0) throw new SystemError('bpf', -result, `put ${target.name} behind the tunnel`);
  const owned = stack.move();
  return { fd: program.fd, [Symbol.dispose]: () => owned.dispose() };
}
