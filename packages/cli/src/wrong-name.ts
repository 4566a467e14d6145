import { nearest } from '@sluice/config';
import { CommandError } from './command-error.ts';

export interface WrongName {
  /** `map`, `option`. */
  readonly what: string;
  readonly name: string;
  /** All that there are. */
  readonly names: readonly string[];
  /** The command that shows them; undefined: they are few. */
  readonly list?: string;
}

/** More of them are no help to read, and fewer are enough where a command shows them. */
const namedMax = 40;
const namedBesidesListMax = 12;
const suggestedMax = 5;

/** For a name that is none: what was meant, where something is near, and else what there is, or how one sees it. */
export function wrongName({ what, name, names, list }: WrongName): CommandError {
  const meant = suggestions(name, names);
  // One that is near was meant; of several none may be.
  const show = list === undefined || meant.length < 2 ? '' : ` \`${list}\` shows all`;
  const next = meant.length > 0 ? `did you mean ${orList(meant)}?` : nothingNear(names, list);
  return new CommandError(`no ${what} ${name}; ${next}${show}`, { exitCode: 2 });
}

/** The nearest one; of those that only have the word in them the first few. */
function suggestions(name: string, names: readonly string[]): string[] {
  const near = nearest(name, names);
  if (near !== undefined) return [near];
  const word = name.toLowerCase();
  return word === '' ? [] : names.filter((each) => each.toLowerCase().includes(word)).slice(0, suggestedMax);
}

const orList = (names: readonly string[]): string =>
  names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;

function nothingNear(names: readonly string[], list: string | undefined): string {
  if (names.length === 0) return 'there is none';
  if (list !== undefined && names.length > namedBesidesListMax)
    return `nothing is named like that, \`${list}\` shows all ${names.length}`;
  const more = names.length > namedMax ? ', …' : '';
  return `there are ${names.slice(0, namedMax).join(', ')}${more}`;
}
