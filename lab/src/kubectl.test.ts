import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { readZipEntry } from './kubectl.ts';

/** An archive of one deflated file, as the ZIP specification lays it out. */
function archiveOf(name: string, content: string): Buffer {
  const data = deflateRawSync(content);
  const local = Buffer.alloc(30);
  local.writeUInt32LE(0x04034b50, 0);
  local.writeUInt16LE(name.length, 26);
  const entry = Buffer.alloc(46);
  entry.writeUInt32LE(0x02014b50, 0);
  entry.writeUInt16LE(8, 10);
  entry.writeUInt32LE(data.length, 20);
  entry.writeUInt16LE(name.length, 28);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt32LE(46 + name.length, 12);
  end.writeUInt32LE(30 + name.length + data.length, 16);
  return Buffer.concat([local, Buffer.from(name), data, entry, Buffer.from(name), end]);
}

test('a file is read from a ZIP archive; a missing one, a cut archive and no archive are errors that name it', () => {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-zip-'));
  try {
    const path = join(directory, 'a.zip');
    const archive = archiveOf('kubectl/kubectl', 'content');
    writeFileSync(path, archive);
    assert.equal(readZipEntry(path, 'kubectl/kubectl').toString(), 'content');
    assert.throws(() => readZipEntry(path, 'other'), /a\.zip has no other/);
    writeFileSync(path, archive.subarray(20));
    assert.throws(() => readZipEntry(path, 'kubectl/kubectl'), Error);
    writeFileSync(path, 'nothing');
    assert.throws(() => readZipEntry(path, 'x'), /a\.zip is not a ZIP archive/);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
