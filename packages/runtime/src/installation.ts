import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * The folder that holds `bpf/`, `dist/` and `package.json`: `SLUICE_ROOT` where it is set, else the nearest such folder
 * above `from` (default: this file, which lies in a package when run from source and in `dist/` when bundled).
 */
export function installationRoot(from = fileURLToPath(import.meta.url), environment = process.env): string {
  const configured = environment.SLUICE_ROOT;
  if (configured) {
    if (isRoot(configured)) return configured;
    throw new Error(`SLUICE_ROOT is ${configured}, but no bpf/ and package.json lie there`);
  }
  for (let folder = dirname(from); ; folder = dirname(folder)) {
    if (isRoot(folder)) return folder;
    if (folder === dirname(folder)) {
      throw new Error(`no installation of Sluice (a folder with bpf/ and package.json) above ${from}; set SLUICE_ROOT`);
    }
  }
}

function isRoot(folder: string): boolean {
  return existsSync(join(folder, 'bpf')) && existsSync(join(folder, 'package.json'));
}

/** The version of the installation that runs. */
export function installedVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(installationRoot(), 'package.json'), 'utf8'));
  const version: unknown =
    typeof manifest === 'object' && manifest !== null ? Reflect.get(manifest, 'version') : undefined;
  return typeof version === 'string' ? version : 'unknown';
}
