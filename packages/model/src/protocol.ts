/** Transport protocols of a Kubernetes Service port. */
export type Protocol = 'TCP' | 'UDP' | 'SCTP';

/** IANA protocol numbers, as in an IP header. */
export const protocolNumbers: Readonly<Record<Protocol, number>> = { TCP: 6, UDP: 17, SCTP: 132 };

/** `TCP` for 6; the number as text for what a Service cannot name. */
export function protocolName(number: number): string {
  return names.get(number) ?? String(number);
}

const names = new Map<number, string>([
  [1, 'ICMP'],
  [58, 'ICMPv6'],
  ...Object.entries(protocolNumbers).map(([name, number]): [number, string] => [number, name]),
]);

/** `10.0.0.1:80` or `[fd00::1]:80`. */
export function formatHostPort(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
