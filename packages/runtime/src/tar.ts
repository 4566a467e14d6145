/** What a layer has at a path; folders above it are made by themselves. */
export type Entry =
  | { readonly path: string; readonly content: Uint8Array; readonly mode: 0o644 | 0o755 }
  | { readonly path: string; readonly target: string };

const blockBytes = 512;
const nameBytesMax = 100;
/** Of the folders before a name, which stand in a field of their own where both together are too long. */
const prefixBytesMax = 155;

export interface TarOptions {
  /** Of all entries, in seconds since the epoch; default 0: equal contents make equal archives. */
  readonly time?: number;
}

/** A tar archive (POSIX ustar) that depends on nothing but the entries and the time: in order of paths, of root. */
export function tarArchive(entries: readonly Entry[], { time = 0 }: TarOptions = {}): Buffer {
  const folders = new Set(entries.flatMap(({ path }) => foldersAbove(path)));
  const all = [...entries, ...[...folders].map((path) => ({ path, folder: true }) as const)];
  all.sort((a, b) => (a.path < b.path ? -1 : 1));
  const blocks = all.flatMap((entry) => {
    if ('folder' in entry) return [header({ name: `${entry.path}/`, mode: 0o755, type: '5', time })];
    if ('target' in entry) return [header({ name: entry.path, mode: 0o777, type: '2', target: entry.target, time })];
    return fileBlocks(entry, time);
  });
  return Buffer.concat([...blocks, tarEnd()]);
}

/** One file of an archive that is written as it grows; without folders, which whoever reads it makes by themselves. */
export function tarFile(file: Extract<Entry, { content: Uint8Array }>, { time = 0 }: TarOptions = {}): Buffer {
  return Buffer.concat(fileBlocks(file, time));
}

/** What comes after the last file. */
export function tarEnd(): Buffer {
  return Buffer.alloc(2 * blockBytes);
}

function fileBlocks({ path: name, content, mode }: Extract<Entry, { content: Uint8Array }>, time: number) {
  const padding = Buffer.alloc(-content.length & (blockBytes - 1));
  return [header({ name, mode, type: '0', size: content.length, time }), content, padding];
}

/** `a/b/c`: `a`, `a/b`. */
function foldersAbove(path: string): string[] {
  const names = path.split('/');
  return names.slice(1).map((_, index) => names.slice(0, index + 1).join('/'));
}

interface Header {
  readonly name: string;
  readonly mode: number;
  /** 0 a file, 2 a symbolic link, 5 a folder. */
  readonly type: '0' | '2' | '5';
  readonly size?: number;
  readonly target?: string;
  readonly time: number;
}

function header({ name: path, mode, type, size = 0, target = '', time }: Header): Buffer {
  const { prefix, name } = splitName(path);
  for (const text of [name, target]) {
    if (Buffer.byteLength(text) > nameBytesMax) throw new Error(`${text} is longer than a ustar name may be`);
  }
  const block = Buffer.alloc(blockBytes);
  const octal = (value: number, offset: number, digits: number) =>
    block.write(value.toString(8).padStart(digits, '0'), offset, 'latin1');
  block.write(name, 0);
  octal(mode, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(size, 124, 11);
  octal(time, 136, 11);
  block.write(type, 156, 'latin1');
  block.write(target, 157);
  block.write('ustar\0', 257, 'latin1');
  block.write('00', 263, 'latin1');
  block.write(prefix, 345);
  // The sum is taken with its own field as blanks.
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

function splitName(path: string): { readonly prefix: string; readonly name: string } {
  if (Buffer.byteLength(path) <= nameBytesMax) return { prefix: '', name: path };
  // The longest prefix leaves the shortest name; a folder's own path ends with a slash, which is none between.
  const slash = path.lastIndexOf('/', Math.min(prefixBytesMax, path.length - 2));
  return slash <= 0 ? { prefix: '', name: path } : { prefix: path.slice(0, slash), name: path.slice(slash + 1) };
}
