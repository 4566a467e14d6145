import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tarArchive, tarEnd, tarFile } from './tar.ts';
import { readTar } from './tar-reader.ts';

const limits = { fileBytesMax: 10_000, filesMax: 10 };

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let begin = 0; begin < bytes.length; begin += size) yield bytes.subarray(begin, begin + size);
}

async function read(bytes: Uint8Array, size = bytes.length, options = limits): Promise<[string, string][]> {
  const files: [string, string][] = [];
  for await (const { path, content } of readTar(pieces(bytes, size), options)) files.push([path, content.toString()]);
  return files;
}

const file = (path: string, text: string) => ({ path, content: Buffer.from(text), mode: 0o644 as const });
const long = `${'folder/'.repeat(20)}${'n'.repeat(90)}`;

test('what was packed is read again, whatever the pieces in which it comes; folders and links are passed over', async () => {
  const archive = tarArchive([file('a/b', 'x'.repeat(1_000)), file(long, 'y'), { path: 'l', target: 'a/b' }]);
  for (const size of [1, 100, 511, 512, 513, 100_000]) {
    const files = await read(archive, size);
    assert.deepEqual(files.toSorted(), [
      ['a/b', 'x'.repeat(1_000)],
      [long, 'y'],
    ]);
  }
});

test('an archive that is written as it grows is read as well', async () => {
  const archive = Buffer.concat([tarFile(file('b', '1')), tarFile(file('a', '')), tarEnd()]);
  assert.deepEqual(await read(archive), [
    ['b', '1'],
    ['a', ''],
  ]);
});

test('a size that is no number of bytes is told', async () => {
  const archive = Buffer.from(tarFile(file('a', 'x')));
  for (const size of ['-7777777777', '0x10', '99']) {
    archive.fill(0, 124, 136).write(size, 124);
    archive.fill(32, 148, 156);
    const sum = archive.subarray(0, 512).reduce((total, byte) => total + byte, 0);
    archive.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    await assert.rejects(read(archive), /no tar archive/);
  }
});

test('what is damaged, too large or endless is told', async () => {
  const archive = tarArchive([file('a', 'x'.repeat(1_000))]);
  await assert.rejects(read(archive.subarray(0, 700)), /it ends in the middle/);
  await assert.rejects(read(Buffer.alloc(1_024, 'x')), /it is no tar archive/);
  await assert.rejects(read(archive, 512, { ...limits, fileBytesMax: 999 }), /a has 1000 bytes, more than 999/);
  await assert.rejects(
    read(tarArchive([file('a', ''), file('b', '')]), 512, { ...limits, filesMax: 1 }),
    /more than 1 files/,
  );
});
