/** What one run of a program takes on one packet, by the kernel's own clock around many runs (bench/bpf/program-cost.bpf.c). */
import assert from 'node:assert/strict';
import {
  type LoadedObject,
  loadObject,
  type ObjectSpec,
  openMap,
  type Program,
  parseObject,
  type TestRunResult,
  type TypedMap,
  u32Codec,
} from '@sluice/bpf';
import { isSystemError } from '@sluice/ffi';
import { compileBpf } from '@sluice/testing';

const PACKET_MAX = 256;
const PROG_ARRAY = 3;

/** An array of programs takes those of one hook only. */
const programNames = {
  tc: { restore: 'restore_packet', nothing: 'pass_packet' },
  xdp: { restore: 'restore_frame', nothing: 'pass_frame' },
} as const;

export interface RunPlace {
  readonly hook: 'tc' | 'xdp';
  readonly ifindex: number;
  readonly bytes: Uint8Array;
}

export interface Runs {
  /** The mean of one. */
  readonly ns: number;
  readonly action: number;
}

/** Of one packet: programs that are run on it, in the calling thread's network namespace. */
export interface TestRuns extends Disposable {
  /** Each time on the packet as it came; what that takes is taken off. */
  run(program: Program, repeat: number): Runs;
  /** A program that writes nothing. */
  runAlone(program: Program, repeat: number): Runs;
  /** Lets pass. */
  readonly nothing: Program;
}

export function costObject(): ObjectSpec {
  return parseObject(compileBpf('bench/bpf/program-cost.bpf.c'), 'program-cost');
}

export function testRuns(spec: ObjectSpec, { hook, ifindex, bytes }: RunPlace): TestRuns {
  assert.ok(bytes.length <= PACKET_MAX, `a packet of ${bytes.length} bytes, of at most ${PACKET_MAX}`);
  using stack = new DisposableStack();
  const packet = new Uint8Array(PACKET_MAX);
  packet.set(bytes);
  const names = programNames[hook];
  const configuration = { packet_bytes: packet, packet_length: bytes.length };
  const loaded = stack.use(loadObject(spec, { configuration, programs: Object.values(names) }));
  const measured = programArray(loaded);
  const restore = programOf(loaded, names.restore);
  const context = hook === 'tc' ? socketBuffer(ifindex) : frameContext(ifindex, bytes.length);
  const runOf = (run: Program, repeat: number): Runs => {
    const { durationNs, returnValue } = whole(() => run.testRun({ data: bytes, context, repeat }));
    return { ns: durationNs, action: returnValue };
  };
  const restored = (program: Program, repeat: number): Runs => {
    measured.update(0, program.fd);
    return runOf(restore, repeat);
  };
  const nothing = programOf(loaded, names.nothing);
  const owned = stack.move();
  return {
    nothing,
    runAlone: runOf,
    run(program, repeat) {
      const { ns, action } = restored(program, repeat);
      return { ns: ns - restored(nothing, repeat).ns + runOf(nothing, repeat).ns, action };
    },
    [Symbol.dispose]: () => owned.dispose(),
  };
}

const attempts = 10;

/** A signal, as of a child that has ended, ends the runs. */
function whole(run: () => TestRunResult): TestRunResult {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return run();
    } catch (error) {
      if (!isSystemError(error, 'EINTR') || attempt === attempts) throw error;
    }
  }
}

function programArray(loaded: LoadedObject): TypedMap<number, number> {
  const map = loaded.maps.get('measured') ?? assert.fail('no map measured');
  const sizes = { keySize: 4, valueSize: 4, maxEntries: 1, flags: 0, keyLayout: '', valueLayout: '' };
  return openMap(map, { name: 'measured', type: PROG_ARRAY, ...sizes, key: u32Codec, value: u32Codec });
}

export function programOf(loaded: LoadedObject, name: string): Program {
  return loaded.programs.get(name) ?? assert.fail(`no program ${name} in ${loaded.name}`);
}

/** struct __sk_buff: its ifindex. */
function socketBuffer(ifindex: number): Uint8Array {
  const bytes = new Uint8Array(192);
  new DataView(bytes.buffer).setUint32(40, ifindex, true);
  return bytes;
}

/** struct xdp_md: data_end, ingress_ifindex. */
function frameContext(ifindex: number, length: number): Uint8Array {
  const words = new Uint32Array(6);
  words[1] = length;
  words[3] = ifindex;
  return new Uint8Array(words.buffer);
}
