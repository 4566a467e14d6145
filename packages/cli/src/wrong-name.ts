import { nearest } from '@sluice/config';
import { CommandError } from './command-error.ts';

const namedMax = 40;

/** For a name that is none: the one that was meant, where one is near, or all that there are. */
export function wrongName(what: string, name: string, names: readonly string[]): CommandError {
  const suggestion = nearest(name, names);
  const more = names.length > namedMax ? ', …' : '';
  const all = names.length === 0 ? 'there is none' : `there are ${names.slice(0, namedMax).join(', ')}${more}`;
  return new CommandError(`no ${what} ${name}; ${suggestion === undefined ? all : `did you mean ${suggestion}?`}`, {
    exitCode: 2,
  });
}
