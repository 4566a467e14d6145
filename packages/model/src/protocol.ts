/** Transport protocols of a Kubernetes Service port. */
export const protocols = ['TCP', 'UDP', 'SCTP'] as const;
export type Protocol = (typeof protocols)[number];

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
