import { hostPrefix, type Prefix, parsePrefix, tryParseAddress } from '@sluice/net';

/** The question to the local API is wrong, not we: it is answered with 400 and this text. */
export class QueryError extends Error {
  override readonly name = 'QueryError';
}

/** Throws QueryError for a parameter that nobody knows: it would narrow nothing down, silently. */
export function knownParameters(query: URLSearchParams, known: readonly string[]): URLSearchParams {
  for (const name of query.keys()) {
    if (!known.includes(name))
      throw new QueryError(`no parameter ${name}; there ${known.length === 0 ? 'is none' : `are ${known.join(', ')}`}`);
  }
  return query;
}

/** Undefined where it is not asked for. */
export function wholeParameter(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw new QueryError(`${name} ${text}: a whole number`);
  return Number(text);
}

/** An address is the prefix of itself. */
export function prefixOf(name: string, text: string): Prefix {
  const address = tryParseAddress(text);
  if (address !== undefined) return hostPrefix(address);
  try {
    return parsePrefix(text);
  } catch (error) {
    throw new QueryError(`${name} ${text}: an address or a prefix, such as 10.244.0.0/16`, { cause: error });
  }
}

/** What comes after the first part of the path, or nothing: `nodes` of `/tables/nodes`. */
export function secondPart({ pathname }: URL): string {
  const part = pathname.split('/')[2] ?? '';
  try {
    return decodeURIComponent(part);
  } catch {
    throw new QueryError(`${part}: a % begins two hexadecimal digits, and they are UTF-8`);
  }
}
