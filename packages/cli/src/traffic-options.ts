/** Options that narrow down what was seen on the wire, the same for every command that shows some of it. */
import { parsePrefix, tryParseAddress } from '@sluice/net';
import { type Command, InvalidArgumentError, Option } from 'commander';

export interface TrafficOptions {
  readonly pod?: readonly string[];
  readonly fromPod?: readonly string[];
  readonly toPod?: readonly string[];
  readonly namespace?: readonly string[];
  readonly ip?: readonly string[];
  readonly port?: readonly string[];
  readonly protocol?: readonly string[];
}

const PROTOCOLS = ['tcp', 'udp', 'icmp', 'icmpv6', 'sctp'];

export function addTrafficOptions(command: Command): Command {
  return command
    .option('--pod <[namespace/]name>', 'from or to pods whose name begins so; any of several', collect)
    .option('--from-pod <[namespace/]name>', 'from such pods', collect)
    .option('--to-pod <[namespace/]name>', 'to such pods', collect)
    .option('-n, --namespace <name>', 'from or to pods and services of this namespace', collect)
    .option('--ip <address|prefix>', 'from or to this address, or one of this prefix', collectWhere(isPrefix, PREFIX))
    .option('--port <number>', 'from or to this port', collectWhere(isPort, 'a number from 1 to 65535'))
    .addOption(new Option('--protocol <name>', PROTOCOLS.join(', ')).argParser(collectWhere(isProtocol, PROTOCOL)));
}

/** The same as the agent's parameters. */
export function trafficQuery(options: TrafficOptions): [name: string, value: string][] {
  const parameters = {
    pod: options.pod,
    'from-pod': options.fromPod,
    'to-pod': options.toPod,
    namespace: options.namespace,
    ip: options.ip,
    port: options.port,
    protocol: options.protocol,
  };
  return Object.entries(parameters).flatMap(([name, values = []]) =>
    values.map((value): [string, string] => [name, value]),
  );
}

/** `/connections?port=80`, and the bare path without a parameter. */
export function pathWithQuery(path: string, parameters: readonly (readonly [name: string, value: string])[]): string {
  const query = new URLSearchParams(parameters.map(([name, value]) => [name, value]));
  return parameters.length === 0 ? path : `${path}?${query}`;
}

const PREFIX = 'an address such as 10.244.0.5, or a prefix such as 10.244.0.0/16';
const PROTOCOL = `one of ${PROTOCOLS.join(', ')}`;

export function collect(value: string, given: readonly string[] = []): string[] {
  return [...given, value];
}

function collectWhere(isGood: (value: string) => boolean, what: string) {
  return (value: string, given: readonly string[] = []): string[] => {
    if (!isGood(value)) throw new InvalidArgumentError(what);
    return collect(value, given);
  };
}

const isPort = (text: string): boolean => /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535;
const isProtocol = (text: string): boolean => PROTOCOLS.includes(text.toLowerCase());

function isPrefix(text: string): boolean {
  if (tryParseAddress(text) !== undefined) return true;
  try {
    parsePrefix(text);
    return true;
  } catch {
    return false;
  }
}
