import { BlockList, isIP } from 'node:net';
import type { Context } from './context.ts';

/** The proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY name for a server, by the rules that kubectl goes by; undefined: none. */
export function environmentProxy(server: string, environment: Context['environment']): string | undefined {
  if (!URL.canParse(server)) return undefined;
  const { protocol, hostname, port } = new URL(server);
  const name = protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const proxy = environment[name] || environment[name.toLowerCase()];
  const host = hostname.replace(/^\[|\]$/g, '').toLowerCase();
  if (!proxy || isLocal(host)) return undefined;
  const exceptions = (environment.NO_PROXY || environment.no_proxy || '').split(',').map((each) => each.trim());
  const portOf = port || (protocol === 'https:' ? '443' : '80');
  if (exceptions.some((exception) => covers(exception.toLowerCase(), host, portOf))) return undefined;
  return proxy.includes('://') ? proxy : `http://${proxy}`;
}

const isLocal = (host: string): boolean => host === 'localhost' || host === '::1' || /^127\./.test(host);

/** `*`, `10.0.0.0/8`, `10.0.0.1`, `example.com` with all below it, `.example.com` with those alone; each may name a port. */
function covers(exception: string, host: string, port: string): boolean {
  if (exception === '') return false;
  if (exception === '*') return true;
  if (exception.includes('/')) return isWithin(exception, host);
  const [, bare = '', wanted] =
    /^\[?(.*?)\]?(?::(\d+))?$/.exec(isIP(exception) === 6 ? `[${exception}]` : exception) ?? [];
  if (wanted !== undefined && wanted !== port) return false;
  const suffix = bare.replace(/^\*(?=\.)/, '');
  return suffix.startsWith('.') ? host.endsWith(suffix) : host === suffix || host.endsWith(`.${suffix}`);
}

function isWithin(prefix: string, host: string): boolean {
  const [network = '', length = ''] = prefix.split('/');
  const [family, of] = [isIP(host), isIP(network)];
  if (family === 0 || family !== of || !/^\d{1,3}$/.test(length) || Number(length) > (of === 4 ? 32 : 128))
    return false;
  const list = new BlockList();
  const kind = of === 4 ? 'ipv4' : 'ipv6';
  list.addSubnet(network, Number(length), kind);
  return list.check(host, kind);
}
