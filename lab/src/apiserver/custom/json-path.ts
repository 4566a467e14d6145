import { isDeepStrictEqual } from 'node:util';
import type { Json, JsonObject } from '../object.ts';
import { isObject } from '../schema/decode.ts';

type Step = (values: readonly Json[]) => Json[];

/**
 * Compiles the JSONPath of a printer column: `.spec.a`, `.b['c.d']`, `[0]`, `[*]`, `..name` is not there,
 * `[?(@.type=="Ready")]`. Throws with the position when it cannot be read.
 */
export function compileJsonPath(text: string): (object: JsonObject) => Json[] {
  const steps = parse(text);
  return (object) => steps.reduce<readonly Json[]>((values, step) => step(values), [object]) as Json[];
}

function parse(text: string): Step[] {
  const steps: Step[] = [];
  let rest = text.replace(/^\{(.*)\}$/s, '$1').replace(/^\$/, '');
  while (rest !== '') {
    const match =
      /^\.(?<field>[\w$-]+(?:\\\.[\w$-]+)*)|^\[(?<index>-?\d+)\]|^(?:\[\*\]|\.\*)(?<every>)|^\[(['"])(?<quoted>.*?)\4\]|^\[\?\(\s*@(?<path>[^=!<>]*?)\s*(?<operator>==|!=)\s*(?<literal>.+?)\s*\)\]/.exec(
        rest,
      );
    if (!match?.groups) throw new Error(`the JSONPath ${text} cannot be read at ${JSON.stringify(rest)}`);
    const { field, index, quoted, path, operator, literal } = match.groups;
    if (field !== undefined) steps.push(member(field.replaceAll('\\.', '.')));
    else if (quoted !== undefined) steps.push(member(quoted));
    else if (index !== undefined) steps.push(element(Number(index)));
    else if (path !== undefined) steps.push(filter(parse(path), operator === '==', literalValue(literal ?? '')));
    else steps.push(every);
    rest = rest.slice(match[0].length);
  }
  return steps;
}

function member(name: string): Step {
  return (values) =>
    values.flatMap((value) => {
      const part = isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
      return part === undefined ? [] : [part];
    });
}

function element(index: number): Step {
  return (values) =>
    values.flatMap((value) => {
      const part = Array.isArray(value) ? value.at(index) : undefined;
      return part === undefined ? [] : [part];
    });
}

function every(values: readonly Json[]): Json[] {
  return values.flatMap((value) => {
    if (Array.isArray(value)) return value;
    return isObject(value) ? Object.values(value).filter((part) => part !== undefined) : [];
  });
}

function filter(path: readonly Step[], wantsEqual: boolean, literal: Json): Step {
  return (values) =>
    every(values).filter((value) => {
      const found = path.reduce<readonly Json[]>((parts, step) => step(parts), [value]);
      return found.some((part) => isDeepStrictEqual(part, literal)) === wantsEqual;
    });
}

function literalValue(text: string): Json {
  const quoted = /^(['"])(.*)\1$/s.exec(text);
  if (quoted) return quoted[2] ?? '';
  if (text === 'true' || text === 'false') return text === 'true';
  const number = Number(text);
  return Number.isNaN(number) ? text : number;
}
