/** For tests of dumps: what the system's tar reads. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export function folder() {
  const path = mkdtempSync(join(tmpdir(), `sluice-test-${process.pid}-`));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** Text by path below the archive's one folder. */
export function unpacked(archive: string): Map<string, string> {
  const tar = (...args: string[]) => execFileSync('tar', ['-xzf', archive, ...args], { encoding: 'utf8' });
  const list = execFileSync('tar', ['-tzf', archive], { encoding: 'utf8' });
  const paths = list
    .trim()
    .split('\n')
    .filter((path) => path !== '' && !path.endsWith('/'));
  return new Map(paths.map((path) => [path.slice(path.indexOf('/') + 1), tar('--to-stdout', path)]));
}
