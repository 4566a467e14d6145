import { execFile } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');

export interface HelmAnswer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The real helm (4), which `npm run build` takes out of the npm package that also has our kubectl. */
export function helm(...args: readonly string[]): Promise<HelmAnswer> {
  return new Promise((resolve) => {
    execFile(join(root, 'dist/bin/helm'), [...args], { cwd: root }, (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr }),
    );
  });
}
