/** Writes a cpio archive in the "newc" format, the one that Linux unpacks into its first root file system. */
import { closeSync, lstatSync, openSync, readFileSync, readlinkSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

export interface Archive extends Disposable {
  /** From the machine's file system; a link stays a link. Folders above are made. */
  add(path: string, source: string): void;
  addFile(path: string, content: string | Uint8Array, mode?: number): void;
  addFolder(path: string): void;
  addLink(path: string, target: string): void;
  addCharacterDevice(path: string, numbers: { readonly major: number; readonly minor: number }): void;
}

const Kind = { folder: 0o040000, file: 0o100000, link: 0o120000, characterDevice: 0o020000 } as const;

/** Paths are absolute. Disposing ends the archive. */
export function createArchive(file: string): Archive {
  const fd = openSync(file, 'w');
  const seen = new Set<string>(['/', '.']);
  let inode = 1;

  function write(path: string, entry: { mode: number; content: Uint8Array; major?: number; minor?: number }): void {
    const name = Buffer.from(`${path.replace(/^\//, '')}\0`);
    const { mode, content, major = 0, minor = 0 } = entry;
    const numbers = [inode++, mode, 0, 0, 1, 0, content.byteLength, 0, 0, major, minor, name.byteLength, 0];
    const header = Buffer.from(`070701${numbers.map((number) => number.toString(16).padStart(8, '0')).join('')}`);
    writePadded(fd, Buffer.concat([header, name]));
    writePadded(fd, content);
  }

  function once(path: string, make: () => void): void {
    if (seen.has(path)) return;
    seen.add(path);
    if (path !== '/') once(dirname(path), () => folder(dirname(path)));
    make();
  }

  const folder = (path: string) => write(path, { mode: Kind.folder | 0o755, content: new Uint8Array() });
  const archive: Archive = {
    add(path, source) {
      const stat = lstatSync(source);
      if (stat.isSymbolicLink()) archive.addLink(path, readlinkSync(source));
      else if (stat.isDirectory()) archive.addFolder(path);
      else archive.addFile(path, readFileSync(source), stat.mode & 0o777);
    },
    addFile: (path, content, mode = 0o644) =>
      once(path, () => write(path, { mode: Kind.file | mode, content: Buffer.from(content) })),
    addFolder: (path) => once(path, () => folder(path)),
    addLink: (path, target) => once(path, () => write(path, { mode: Kind.link | 0o777, content: Buffer.from(target) })),
    addCharacterDevice: (path, numbers) =>
      once(path, () => write(path, { mode: Kind.characterDevice | 0o600, content: new Uint8Array(), ...numbers })),
    [Symbol.dispose]() {
      write('/TRAILER!!!', { mode: 0, content: new Uint8Array() });
      closeSync(fd);
    },
  };
  return archive;
}

/** Headers with their names, and contents, end at a multiple of four. */
function writePadded(fd: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.byteLength; ) written += writeSync(fd, bytes, written);
  const rest = bytes.byteLength % 4;
  if (rest !== 0) writeSync(fd, new Uint8Array(4 - rest));
}
