import { parsePortMappings } from '@sluice/cni';
import { parseAddress, parseMac } from '@sluice/net';
import type { Endpoint } from './endpoint.ts';

const version = 1;

/** One endpoint as the text of its state file. */
export function formatEndpoint(endpoint: Endpoint): string {
  const { netnsCookie, netnsInode, ...rest } = endpoint;
  const file = { version, ...rest, netnsCookie: String(netnsCookie), netnsInode: String(netnsInode) };
  return `${JSON.stringify(file, null, 2)}\n`;
}

/** Throws with the field that is wrong: a file may come from a newer agent, or half of it from a full disk. */
export function parseEndpoint(text: string): Endpoint {
  const file = new Fields(JSON.parse(text));
  if (file.number('version') !== version) throw new TypeError(`version is not ${version}`);
  const pod = file.value('pod');
  return {
    id: file.number('id'),
    containerId: file.text('containerId'),
    ifname: file.text('ifname'),
    netns: file.text('netns'),
    netnsCookie: BigInt(file.text('netnsCookie')),
    netnsInode: BigInt(file.text('netnsInode')),
    hostName: file.text('hostName'),
    hostIfindex: file.number('hostIfindex'),
    hostMac: parseMac(file.text('hostMac')),
    podIfindex: file.number('podIfindex'),
    podMac: parseMac(file.text('podMac')),
    mtu: file.number('mtu'),
    routeMtu: file.number('routeMtu'),
    ipv4: file.optional('ipv4', parseAddress),
    ipv6: file.optional('ipv6', parseAddress),
    gatewayIpv4: file.optional('gatewayIpv4', parseAddress),
    gatewayIpv6: file.optional('gatewayIpv6', parseAddress),
    pod: pod === undefined ? undefined : parsePod(new Fields(pod)),
    hostPorts: parsePortMappings(file.value('hostPorts')),
    labels: file.texts('labels'),
    identity: file.number('identity'),
    identityPendingSince: file.optionalNumber('identityPendingSince'),
    createdAt: file.number('createdAt'),
  };
}

function parsePod(fields: Fields): NonNullable<Endpoint['pod']> {
  return { namespace: fields.text('namespace'), name: fields.text('name'), uid: fields.optional('uid', (uid) => uid) };
}

class Fields {
  readonly #object: object;

  constructor(value: unknown) {
    if (typeof value !== 'object' || value === null) throw new TypeError('it is not an object');
    this.#object = value;
  }

  value(name: string): unknown {
    return Reflect.get(this.#object, name);
  }

  text(name: string): string {
    const value = this.value(name);
    if (typeof value === 'string' && value !== '') return value;
    throw new TypeError(`${name} is not text`);
  }

  /** All our numbers count from 1. */
  number(name: string): number {
    const value = this.value(name);
    if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value;
    throw new TypeError(`${name} is not a number above 0`);
  }

  /** Undefined where it is not there: an earlier agent did not know them. */
  texts(name: string): string[] | undefined {
    const value = this.value(name);
    if (value === undefined) return undefined;
    if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
    throw new TypeError(`${name} is not a list of texts`);
  }

  optionalNumber(name: string): number | undefined {
    return this.value(name) === undefined ? undefined : this.number(name);
  }

  optional<Value>(name: string, parse: (text: string) => Value): Value | undefined {
    return this.value(name) === undefined ? undefined : parse(this.text(name));
  }
}
