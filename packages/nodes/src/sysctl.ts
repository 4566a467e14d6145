import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from '@sluice/runtime';
import { ephemeralPorts, leavesPorts, type PortRange } from './port-range.ts';

/** Kernel settings under /proc/sys of the thread's network namespace. Reads before it writes. */
export class Sysctls {
  readonly #root: string;
  readonly #log: Logger;

  constructor(proc: string, log: Logger) {
    this.#root = join(proc, 'sys');
    this.#log = log;
  }

  /** Undefined where the kernel has no such setting, such as all of IPv6 when it is left out. */
  read(name: string): string | undefined {
    try {
      return readFileSync(join(this.#root, name), 'utf8').trim();
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw new Error(`read ${name}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  }

  /** False where there is no such setting. */
  ensure(name: string, value: string): boolean {
    const before = this.read(name);
    if (before === undefined || before === value) return before !== undefined;
    try {
      writeFileSync(join(this.#root, name), value);
    } catch (error) {
      throw new Error(`set ${name} to ${value}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    }
    this.#log.info({ sysctl: name, before, value }, 'set');
    return true;
  }

  /** Names in a directory; empty where it is not there. */
  list(directory: string): string[] {
    const path = join(this.#root, directory);
    return existsSync(path) ? readdirSync(path) : [];
  }
}

/** The node forwards: between pods and the network, in both families. */
export function ensureForwarding(sysctls: Sysctls): void {
  sysctls.ensure('net/ipv4/ip_forward', '1');
  const forwarding = 'net/ipv6/conf/all/forwarding';
  if (sysctls.read(forwarding) !== '0') return;
  // A router ignores router advertisements, and the kernel purges the default routes that came by them, on every
  // device whose accept_ra is 1; 2 means "although we forward". So this comes first.
  for (const device of sysctls.list('net/ipv6/conf')) {
    const acceptRa = `net/ipv6/conf/${device}/accept_ra`;
    if (sysctls.read(acceptRa) === '1') sysctls.ensure(acceptRa, '2');
  }
  sysctls.ensure(forwarding, '1');
}

const reservedPorts = 'net/ipv4/ip_local_reserved_ports';

/**
 * Ports of services are not given to whoever asks for any: its peers' answers would go to the service. What is reserved
 * stays so; sockets that have such a port keep it. Where nearly none would be left to give, nothing is reserved.
 */
export function reserveNodePorts(sysctls: Sysctls, nodePorts: PortRange, log: Logger): void {
  const reserved = sysctls.read(reservedPorts);
  if (reserved === undefined) return;
  const localPorts = sysctls.read('net/ipv4/ip_local_port_range') ?? '';
  if (ephemeralPorts(nodePorts, localPorts, reserved) === undefined) return;
  if (!leavesPorts(nodePorts, localPorts, reserved)) {
    log.warn({ nodePorts, localPorts }, 'nodePort.range is not reserved: the node would have no ports of its own left');
    return;
  }
  const own = `${nodePorts.first}-${nodePorts.last}`;
  sysctls.ensure(reservedPorts, reserved === '' ? own : `${reserved},${own}`);
}

const ADDR_GEN_MODE_NONE = '1';

/** Before our device is up: no addresses but those that we give it, no filter by the reverse path. */
export function ensureDeviceSysctls(sysctls: Sysctls, device: string): void {
  // The effective filter is the larger of "all" and the device's own (1 strict, 2 loose): where "all" is strict, only
  // loose loosens it.
  const all = sysctls.read('net/ipv4/conf/all/rp_filter') ?? '0';
  sysctls.ensure(`net/ipv4/conf/${device}/rp_filter`, all === '0' ? '0' : '2');
  sysctls.ensure(`net/ipv6/conf/${device}/disable_ipv6`, '0');
  sysctls.ensure(`net/ipv6/conf/${device}/addr_gen_mode`, ADDR_GEN_MODE_NONE);
  sysctls.ensure(`net/ipv6/conf/${device}/accept_ra`, '0');
}
