/** Frames sent by the kernel's live test runs, and counted where they end (bench/bpf/forwarded.bpf.c, bench/c/bench-load/frames.c). */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import {
  arrayCodec,
  attachTcx,
  attachXdp,
  type BpfMap,
  type LoadedObject,
  loadObject,
  MapType,
  type ObjectSpec,
  openMap,
  parseObject,
  perCpu,
  possibleCpus,
  type TypedMap,
  u32Codec,
  u64Codec,
} from '@sluice/bpf';
import { inNetworkNamespace } from '@sluice/ffi';
import { openNetlink } from '@sluice/netlink';
import { compileBpf, temporaryBpffs } from '@sluice/testing';
import { runInside } from './inside.ts';
import { benchLoad } from './load.ts';
import { programOf } from './test-runs.ts';

const framesMax = 64;
const frameMax = 128;

export interface DeviceOf {
  readonly netns: string;
  readonly device: string;
}

export interface FramePath {
  /** Whose other end is the node. */
  readonly from: DeviceOf;
  /** As many as the program has room for, all of one length. */
  readonly frames: readonly Uint8Array[];
  readonly end: DeviceOf & { readonly hook: 'xdp' | 'tc' };
}

export interface FrameLoad extends Disposable {
  /** So far, at the end. */
  arrived(): number;
  /** Of so many, as fast as can be: those a second that have come to the end. */
  rate(count: number): Promise<number>;
  /** Of so many at that rate. */
  lost(rate: number, count: number): Promise<number>;
}

export function forwardedObject(): ObjectSpec {
  return parseObject(compileBpf('bench/bpf/forwarded.bpf.c'), 'forwarded');
}

export function frameLoad(spec: ObjectSpec, { from, frames, end }: FramePath): FrameLoad {
  using stack = new DisposableStack();
  const pin = join(stack.use(temporaryBpffs()).path, 'generate');
  const length = frames[0]?.length ?? 0;
  assert.ok(length <= frameMax && frames.every((frame) => frame.length === length), 'frames of one length that fits');
  const configuration = { frame_bytes: packed(frames), frame_length: length, out_ifindex: ifindexOf(from) };
  const generator = stack.use(loadObject(spec, { configuration, programs: ['generate'] }));
  programOf(generator, 'generate').pin(pin);
  const arrived = attachEnd(spec, end, stack);
  const state = generatorsOf(generator);
  const send = async (count: number, pauseNs = 0n) => {
    const before = arrived();
    state.update(0, [0n, 0n, pauseNs]);
    const words = ['--count', String(Math.ceil(count)), '--length', String(length), '--cpu', '0'];
    const output = await runInside({ netns: from.netns }, [benchLoad, 'frames', pin, ...words]);
    const { sent, ns }: { sent: number; ns: number } = JSON.parse(output);
    return { sent, ns, arrived: arrived() - before };
  };
  const owned = stack.move();
  return {
    arrived,
    async rate(count) {
      const run = await send(count);
      return (run.arrived * 1e9) / run.ns;
    },
    async lost(rate, count) {
      const run = await send(count, BigInt(Math.ceil(1e9 / rate)));
      return run.sent - run.arrived;
    },
    [Symbol.dispose]: () => owned.dispose(),
  };
}

function packed(frames: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(framesMax * frameMax);
  for (let index = 0; index < framesMax; index += 1) bytes.set(frames[index % frames.length] ?? [], index * frameMax);
  return bytes;
}

/** Where it ends: native XDP takes frames as they are, and for socket buffers TC is the cheapest that there is. */
function attachEnd(spec: ObjectSpec, end: FramePath['end'], stack: DisposableStack): () => number {
  const loaded = stack.use(loadObject(spec, { programs: [end.hook === 'xdp' ? 'end_frame' : 'end_packet'] }));
  const ifindex = ifindexOf(end);
  const link = inNetworkNamespace(end.netns, () =>
    end.hook === 'xdp'
      ? attachXdp({ program: programOf(loaded, 'end_frame'), ifindex, mode: 'native' })
      : attachTcx({ program: programOf(loaded, 'end_packet'), ifindex, hook: 'ingress', place: 'before' }),
  );
  stack.use(link);
  const counters = countersOf(loaded);
  return () => Number((counters.lookup(0) ?? []).reduce((sum, count) => sum + count, 0n));
}

function countersOf(loaded: LoadedObject): TypedMap<number, readonly bigint[]> {
  const map: BpfMap = loaded.maps.get('arrived') ?? assert.fail('no map arrived');
  const sizes = { keySize: 4, valueSize: 8, maxEntries: 1, flags: 0, keyLayout: '', valueLayout: '' };
  const descriptor = { name: 'arrived', type: MapType.percpuArray, ...sizes, key: u32Codec, value: u64Codec };
  return openMap(map, perCpu(descriptor, possibleCpus()));
}

/** struct generator */
function generatorsOf(loaded: LoadedObject): TypedMap<number, readonly bigint[]> {
  const map = loaded.maps.get('generators') ?? assert.fail('no map generators');
  const sizes = { keySize: 4, valueSize: 24, maxEntries: 1, flags: 0, keyLayout: '', valueLayout: '' };
  const codecs = { key: u32Codec, value: arrayCodec(u64Codec, 3) };
  return openMap(map, { name: 'generators', type: MapType.array, ...sizes, ...codecs });
}

export function ifindexOf({ netns, device }: DeviceOf): number {
  using netlink = openNetlink({ namespace: netns });
  return netlink.links.get(device)?.ifindex ?? assert.fail(`no device ${device}`);
}

/** At XDP of a device, natively, until the stack goes. */
export function attachBare(
  spec: ObjectSpec,
  { at, program, out }: { readonly at: DeviceOf; readonly program: 'bounce' | 'forward'; readonly out?: BareOut },
  stack: DisposableStack,
): void {
  const configuration = out ? { out_ifindex: ifindexOf(out.by), out_macs: out.macs } : {};
  const loaded = stack.use(loadObject(spec, { configuration, programs: [program] }));
  const ifindex = ifindexOf(at);
  stack.use(
    inNetworkNamespace(at.netns, () => attachXdp({ program: programOf(loaded, program), ifindex, mode: 'native' })),
  );
}

export interface BareOut {
  readonly by: DeviceOf;
  /** To whom, and from whom. */
  readonly macs: Uint8Array;
}
