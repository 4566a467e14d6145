/** Ports first to last, both included. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** `30000-32767,40000`, as net.ipv4.ip_local_reserved_ports has it; what is no port is left out. */
export function parsePortList(text: string): PortRange[] {
  return text.split(',').flatMap((part) => {
    const [, first, last = first] = /^\s*(\d{1,5})(?:-(\d{1,5}))?\s*$/.exec(part) ?? [];
    return first === undefined ? [] : [{ first: Number(first), last: Number(last) }];
  });
}

/** Ports of the range that the kernel gives to whoever asks for any; undefined: none. */
export function ephemeralPorts(range: PortRange, localPorts: string, reserved: string): PortRange | undefined {
  const free = freePorts(range, localPorts, reserved);
  return free.size === 0 ? undefined : { first: Math.min(...free), last: Math.max(...free) };
}

/** A node without ports to give cannot connect to anybody, not even to the API server. */
const PORTS_LEFT_MIN = 1024;

/** Whether enough ports would be left for whoever asks for any if the range were reserved, too. */
export function leavesPorts({ first, last }: PortRange, localPorts: string, reserved: string): boolean {
  return freePorts({ first: 1, last: 65_535 }, localPorts, `${reserved},${first}-${last}`).size >= PORTS_LEFT_MIN;
}

function freePorts(range: PortRange, localPorts: string, reserved: string): Set<number> {
  // net.ipv4.ip_local_port_range is two numbers.
  const [lowest = Number.NaN, highest = Number.NaN] = localPorts.trim().split(/\s+/).map(Number);
  const [first, last] = [Math.max(range.first, lowest), Math.min(range.last, highest)];
  if (!(first <= last)) return new Set();
  const free = new Set(Array.from({ length: last - first + 1 }, (_, index) => first + index));
  for (const taken of parsePortList(reserved)) {
    for (let port = Math.max(first, taken.first); port <= Math.min(last, taken.last); port += 1) free.delete(port);
  }
  return free;
}
