// One test run after the other with as little around it as can be: half of a fuzzer's time is the kernel's.
import { addressOf, bpf, Errno, SystemError } from '@sluice/ffi';
import { EtherType } from '@sluice/net';

const TEST_RUN = 10;
const ETHERNET_BYTES = 14;
/** More than any packet has, also behind a program that adds headers. */
export const ROOM_BYTES = 4096;
/** struct __sk_buff of include/uapi/linux/bpf.h, and of its fields those that a test run takes. */
const CONTEXT_BYTES = 192;
const Field = { mark: 8, priority: 32, gsoSegments: 164, gsoSize: 176 } as const;

export interface Surroundings {
  readonly mark: number;
  readonly priority: number;
  readonly gsoSize: number;
  readonly gsoSegments: number;
}

export class TestRunner {
  /** The packet to run on. */
  readonly input = new Uint8Array(ROOM_BYTES);
  readonly #output = new Uint8Array(ROOM_BYTES);
  readonly #context = new DataView(new ArrayBuffer(CONTEXT_BYTES));
  readonly #attributes = new DataView(new ArrayBuffer(80));
  readonly #bytes = new Uint8Array(this.#attributes.buffer);

  constructor(programFd: number) {
    const attributes = this.#attributes;
    attributes.setUint32(0, programFd, true);
    attributes.setBigUint64(16, addressOf(this.input), true);
    attributes.setUint32(32, 1, true);
    attributes.setUint32(40, CONTEXT_BYTES, true);
    attributes.setBigUint64(48, addressOf(new Uint8Array(this.#context.buffer)), true);
  }

  set surroundings(values: Surroundings) {
    this.#context.setUint32(Field.mark, values.mark, true);
    this.#context.setUint32(Field.priority, values.priority, true);
    this.#context.setUint32(Field.gsoSize, values.gsoSize, true);
    this.#context.setUint32(Field.gsoSegments, values.gsoSegments, true);
  }

  /** The program's return value; undefined where the kernel makes no packet of it (6.18: IP shorter than its header). */
  run(length: number): number | undefined {
    this.#attributes.setUint32(8, length, true);
    this.#attributes.setUint32(12, 0, true);
    this.#attributes.setBigUint64(24, 0n, true);
    return this.#call();
  }

  /** The same, with the packet as the program left it. */
  runAndRead(length: number): { readonly returned: number | undefined; readonly packet: Uint8Array } {
    this.#attributes.setUint32(8, length, true);
    this.#attributes.setUint32(12, ROOM_BYTES, true);
    this.#attributes.setBigUint64(24, addressOf(this.#output), true);
    const returned = this.#call();
    return { returned, packet: this.#output.slice(0, this.#attributes.getUint32(12, true)) };
  }

  #call(): number | undefined {
    const result = bpf(TEST_RUN, this.#bytes);
    if (result === -Errno.EINVAL && this.#isShort()) return undefined;
    if (result < 0) throw new SystemError('bpf', -result, `test run of ${this.#attributes.getUint32(8, true)} bytes`);
    return this.#attributes.getUint32(4, true);
  }

  #isShort(): boolean {
    const ethertype = ((this.input[12] ?? 0) << 8) | (this.input[13] ?? 0);
    const headerBytes = ethertype === EtherType.ipv4 ? 20 : ethertype === EtherType.ipv6 ? 40 : 0;
    return this.#attributes.getUint32(8, true) < ETHERNET_BYTES + headerBytes;
  }
}
