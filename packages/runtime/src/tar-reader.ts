/** A file of an archive that is read as it comes. */
export interface TarFile {
  readonly path: string;
  readonly content: Buffer;
}

export interface TarReaderOptions {
  /** A larger file is an error. */
  readonly fileBytesMax: number;
  /** More files than that are. */
  readonly filesMax: number;
}

const blockBytes = 512;

/** The files of a tar archive (ustar) from outside, one held at a time; folders and links are passed over. */
export async function* readTar(
  chunks: AsyncIterable<Uint8Array>,
  { fileBytesMax, filesMax }: TarReaderOptions,
): AsyncGenerator<TarFile> {
  const source = new ByteSource(chunks);
  for (let files = 0; ; ) {
    const block = await source.take(blockBytes);
    if (block.every((byte) => byte === 0)) return;
    const { path, size, type } = headerOf(block);
    if (size > fileBytesMax) throw new Error(`${path} has ${size} bytes, more than ${fileBytesMax}`);
    const content = await source.take(size);
    await source.take(-size & (blockBytes - 1));
    if (type !== '0' && type !== '\0') continue;
    if (++files > filesMax) throw new Error(`there are more than ${filesMax} files`);
    yield { path, content };
  }
}

class ByteSource {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #parts: Uint8Array[] = [];
  #size = 0;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  async take(size: number): Promise<Buffer> {
    while (this.#size < size) {
      const { done, value } = await this.#chunks.next();
      if (done) throw new Error('it ends in the middle');
      this.#parts.push(value);
      this.#size += value.length;
    }
    const all = Buffer.concat(this.#parts, this.#size);
    this.#parts = size === all.length ? [] : [all.subarray(size)];
    this.#size -= size;
    return all.subarray(0, size);
  }
}

function headerOf(block: Buffer): { readonly path: string; readonly size: number; readonly type: string } {
  const text = (begin: number, length: number) =>
    block.toString('utf8', begin, begin + length).replace(/\0[\s\S]*$/, '');
  const octal = (begin: number, length: number) => {
    const digits = text(begin, length).trim();
    if (!/^[0-7]*$/.test(digits)) throw new Error('it is no tar archive');
    return Number.parseInt(digits || '0', 8);
  };
  // The sum is taken with its own field as blanks.
  const sum = block.reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 32 : byte), 0);
  if (octal(148, 8) !== sum) throw new Error('it is no tar archive');
  const prefix = text(345, 155);
  const name = text(0, 100);
  return { path: prefix === '' ? name : `${prefix}/${name}`, size: octal(124, 12), type: text(156, 1) || '\0' };
}
