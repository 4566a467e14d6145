import { existsSync } from 'node:fs';
import { isatty } from 'node:tty';
import { LabError } from '../error.ts';
import { nameOption } from '../layout.ts';
import type { LabContext } from './context.ts';
import { exec } from './exec.ts';

const shells = ['/bin/bash', '/bin/sh'];

/** An interactive shell in a pod, on a node, or at one of the hosts around; gives its exit status. */
export async function shell(name: string, where: string, context: LabContext): Promise<number> {
  if (!isatty(0) || !isatty(1)) {
    throw new LabError('a shell needs a terminal, and this is none', {
      hint: `for a single command: sluice lab exec${nameOption(name)} ${where} -- COMMAND`,
    });
  }
  const file = shells.find(existsSync) ?? '/bin/sh';
  // The machine's own start-up files would set another prompt, and a path without the lab's programs.
  const options = file.endsWith('bash') ? ['--noprofile', '--norc'] : [];
  const environment = { ...context.environment, PS1: `[${where}] \\w # `, HISTFILE: '', ENV: '' };
  return exec(name, where, [file, ...options, '-i'], { ...context, environment });
}
