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
  // net.ipv4.ip_local_port_range is two numbers.
  const [lowest = Number.NaN, highest = Number.NaN] = localPorts.trim().split(/\s+/).map(Number);
  const [first, last] = [Math.max(range.first, lowest), Math.min(range.last, highest)];
  if (!(first <= last)) return undefined;
  const free = new Set(Array.from({ length: last - first + 1 }, (_, index) => first + index));
  for (const taken of parsePortList(reserved)) {
    for (let port = Math.max(first, taken.first); port <= Math.min(last, taken.last); port += 1) free.delete(port);
  }
  return free.size === 0 ? undefined : { first: Math.min(...free), last: Math.max(...free) };
}
