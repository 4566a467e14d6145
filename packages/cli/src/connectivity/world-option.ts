import { familyOf, tryParseAddress } from '@sluice/net';
import { CommandError } from '../command-error.ts';
import { type Family, families, type Surroundings, type WorldServer } from './case.ts';

export const WORLD_PORT = 80;

/** Of `--world ADDRESS[:PORT]`, at most one of each family. */
export function worldOf(texts: readonly string[]): Surroundings['world'] {
  const servers = texts.map(worldServer);
  const of = (family: Family) => servers.filter(({ address }) => familyOf(address) === family);
  for (const family of families) {
    if (of(family).length > 1) throw new CommandError(`--world: more than one of IPv${family}`, { exitCode: 2 });
  }
  const [ipv4] = of(4);
  const [ipv6] = of(6);
  return { ...(ipv4 && { 4: ipv4 }), ...(ipv6 && { 6: ipv6 }) };
}

function worldServer(text: string): WorldServer {
  const [, bracketed, ipv4, port] = /^(?:\[([^\]]+)\]|([\d.]+))(?::(\d+))?$/.exec(text) ?? [];
  const address = tryParseAddress(bracketed ?? ipv4 ?? text);
  const number = port === undefined ? WORLD_PORT : Number(port);
  if (address !== undefined && number >= 1 && number <= 65_535) return { address, port: number };
  throw new CommandError(`--world ${text}: an address, or with a port 198.51.100.10:8080 or [2001:db8::10]:8080`, {
    exitCode: 2,
  });
}
