import { type Protocol, protocols } from '@sluice/model';
import { type Address, tryParseAddress } from '@sluice/net';
import { CniCode, CniError } from './error.ts';

/** A port of the node that leads to one of the pod's, as the capability `portMappings` asks for it. */
export interface PortMapping {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: Protocol;
  /** Undefined: every address of the node. */
  readonly hostIp: Address | undefined;
}

const mappingsMax = 1_024;

/** Throws with the place of what is wrong. containerd writes `HostPort`, others `hostPort`: plugins in Go read both. */
export function parsePortMappings(value: unknown): PortMapping[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw wrong('', value, 'it is not a list');
  if (value.length > mappingsMax) throw wrong('', value.length, `there are more than ${mappingsMax}`);
  return value.flatMap((item: unknown, index) => {
    const fields = new Map(
      typeof item === 'object' && item !== null
        ? Object.entries(item).map(([key, field]): [string, unknown] => [key.toLowerCase(), field])
        : [],
    );
    const at = (name: string): string => `[${index}].${name}`;
    const hostPort = fields.get('hostport') ?? 0;
    // A port of the container that the node does not show.
    if (hostPort === 0 && fields.size > 0) return [];
    return [
      {
        hostPort: port(at('hostPort'), hostPort),
        containerPort: port(at('containerPort'), fields.get('containerport')),
        protocol: protocolOf(at('protocol'), fields.get('protocol') ?? ''),
        hostIp: addressOf(at('hostIP'), fields.get('hostip') ?? ''),
      },
    ];
  });
}

function port(place: string, value: unknown): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65_535) return value;
  throw wrong(place, value, 'it is not a port (1 to 65535)');
}

function protocolOf(place: string, value: unknown): Protocol {
  const name = value === '' ? 'TCP' : String(value).toUpperCase();
  const protocol = protocols.find((candidate) => candidate === name);
  if (protocol === undefined) throw wrong(place, value, `it is none of ${protocols.join(', ')}`);
  return protocol;
}

function addressOf(place: string, value: unknown): Address | undefined {
  if (value === '' || value === '0.0.0.0' || value === '::') return undefined;
  const address = typeof value === 'string' ? tryParseAddress(value) : undefined;
  if (address === undefined) throw wrong(place, value, 'it is not an IP address');
  return address;
}

function wrong(place: string, value: unknown, rule: string): CniError {
  const text = JSON.stringify(value) ?? 'nothing';
  return new CniError(CniCode.InvalidConfig, `runtimeConfig.portMappings${place} ${text.slice(0, 200)}: ${rule}`);
}
