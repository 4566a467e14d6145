/** Commands on a machine outside of the cluster: by whatever brings one there, such as `ssh host`. */
import { execFile } from 'node:child_process';
import { CommandError } from '../command-error.ts';
import type { Outcome } from './verdict.ts';

const TIMEOUT_MS = 15_000;
const OUTPUT_BYTES_MAX = 1 << 20;

export function runOutside(
  prefix: readonly string[],
  command: readonly string[],
  signal: AbortSignal,
): Promise<Outcome> {
  const [file = '', ...args] = [...prefix, ...command];
  const options = { signal, timeout: TIMEOUT_MS, maxBuffer: OUTPUT_BYTES_MAX };
  return new Promise((resolve, reject) => {
    execFile(file, args, options, (error, stdout, stderr) => {
      if (!error) resolve({ exitCode: 0, stdout, stderr });
      else if (typeof error.code === 'number') resolve({ exitCode: error.code, stdout, stderr });
      else reject(new CommandError(`--outside ${prefix.join(' ')}: ${error.message}`, { cause: error }));
    });
  });
}
