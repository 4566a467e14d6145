/** Types by hand, for probes that need a handful; what a compiler makes comes from objects. */
export class BtfBuilder {
  readonly #types: number[][] = [];
  readonly #strings: Buffer[] = [Buffer.from('\0')];
  #stringBytes = 1;

  /** Each method adds one type and returns its id. */
  int(name: string, bytes: number): number {
    return this.#add([this.#string(name), info(Kind.int), bytes, bytes * 8]);
  }

  struct(
    name: string,
    bytes: number,
    members: readonly { name: string; typeId: number; byteOffset: number }[],
  ): number {
    const fields = members.flatMap((member) => [this.#string(member.name), member.typeId, member.byteOffset * 8]);
    return this.#add([this.#string(name), info(Kind.struct, members.length), bytes, ...fields]);
  }

  prototype(returnTypeId: number, parameters: readonly { name: string; typeId: number }[] = []): number {
    const fields = parameters.flatMap(({ name, typeId }) => [this.#string(name), typeId]);
    return this.#add([0, info(Kind.prototype, parameters.length), returnTypeId, ...fields]);
  }

  function(name: string, prototypeId: number, linkage: 'static' | 'global'): number {
    return this.#add([this.#string(name), info(Kind.function, linkage === 'global' ? 1 : 0), prototypeId]);
  }

  build(): Uint8Array {
    const types = Buffer.from(Uint32Array.from(this.#types.flat()).buffer);
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt16LE(0xeb9f, 0);
    header.writeUInt8(1, 2);
    header.writeUInt32LE(HEADER_BYTES, 4);
    header.writeUInt32LE(types.length, 12);
    header.writeUInt32LE(types.length, 16);
    header.writeUInt32LE(this.#stringBytes, 20);
    return new Uint8Array(Buffer.concat([header, types, ...this.#strings]));
  }

  #add(words: number[]): number {
    return this.#types.push(words);
  }

  #string(text: string): number {
    const offset = this.#stringBytes;
    const bytes = Buffer.from(`${text}\0`);
    this.#strings.push(bytes);
    this.#stringBytes += bytes.length;
    return offset;
  }
}

const HEADER_BYTES = 24;
const Kind = { int: 1, struct: 4, function: 12, prototype: 13 } as const;

function info(kind: number, count = 0): number {
  return (kind << 24) | count;
}
