import { readFileSync } from 'node:fs';
import { attachTcx, loadObject, openMap, parseObject, perCpu, u32Codec, u64Codec } from '@sluice/bpf';

/** Attaches count.bpf.c to a device; the returned function tells how many packets of each protocol came so far. */
export function countPackets(objectPath: string, ifindex: number) {
  using stack = new DisposableStack();
  const spec = parseObject(readFileSync(objectPath), 'count');
  const object = stack.use(loadObject(spec, { configuration: { config_length_min: 20 } }));

  const program = object.programs.get('count');
  const map = object.maps.get('packets');
  if (program === undefined || map === undefined) throw new Error(`${objectPath} is another object`);
  stack.use(attachTcx({ program, ifindex, hook: 'ingress' }));

  // With `generateBindings` the codecs and the layout come from the object's BTF.
  const row = { key: u32Codec, value: u64Codec, keyLayout: '__u32, 4 bytes', valueLayout: '__u64, 8 bytes' };
  const packets = openMap(map, perCpu({ ...map.info, ...row }));
  const owned = stack.move();
  return {
    counts: () =>
      new Map([...packets.entries()].map(([protocol, values]) => [protocol, values.reduce((sum, n) => sum + n)])),
    [Symbol.dispose]: () => owned.dispose(),
  };
}
