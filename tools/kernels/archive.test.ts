import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createArchive } from './archive.ts';

/** Names with mode and content, as the kernel reads them: fields of eight hexadecimal digits, all padded to four. */
function read(bytes: Buffer): Record<string, string> {
  const entries: Record<string, string> = {};
  for (let at = 0; at < bytes.length; ) {
    assert.equal(bytes.toString('latin1', at, at + 6), '070701');
    const field = (index: number) =>
      Number.parseInt(bytes.toString('latin1', at + 6 + index * 8, at + 14 + index * 8), 16);
    const [mode, contentBytes, nameBytes] = [field(1), field(6), field(11)];
    const content = padded(at + 110 + nameBytes);
    const name = bytes.toString('utf8', at + 110, at + 110 + nameBytes - 1);
    entries[name] = `${mode.toString(8)} ${bytes.toString('latin1', content, content + contentBytes)}`;
    at = padded(content + contentBytes);
  }
  return entries;
}

const padded = (offset: number) => Math.ceil(offset / 4) * 4;

test('files, links, devices and the folders above them stand in the archive, each once', () => {
  const folder = mkdtempSync(join(tmpdir(), `sluice-test-${process.pid}-`));
  try {
    writeFileSync(join(folder, 'program'), 'odd', { mode: 0o755 });
    symlinkSync('program', join(folder, 'link'));
    const file = join(folder, 'root.cpio');
    {
      using archive = createArchive(file);
      archive.add('/usr/bin/program', join(folder, 'program'));
      archive.add('/usr/bin/link', join(folder, 'link'));
      archive.addFile('/usr/bin/program', 'a second time');
      archive.addCharacterDevice('/dev/console', { major: 5, minor: 1 });
    }
    assert.deepEqual(read(readFileSync(file)), {
      usr: '40755 ',
      'usr/bin': '40755 ',
      'usr/bin/program': '100755 odd',
      'usr/bin/link': '120777 program',
      dev: '40755 ',
      'dev/console': '20600 ',
      'TRAILER!!!': '0 ',
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
