import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Change, Link, Netlink } from '@sluice/netlink';
import { type Endpoint, isHostName } from './endpoint.ts';

/** The node's sides of the veth pairs. */
export interface PodDevices {
  find(name: string): Link | undefined;
  /** Settings, then up: from now on the pod can send. */
  bringUp(endpoint: Pick<Endpoint, 'hostName' | 'hostIfindex'>): void;
  /** Gives a device that somebody renamed its name again: everything else finds it by that. */
  nameBack(name: string, ifindex: number): void;
  /** Whether the device is there, under whatever name. */
  isThere(ifindex: number): boolean;
  /** Both ends go; a missing one is success. */
  remove(name: string): void;
  /** All that bear one of our names. */
  list(): Link[];
  /** Tells of what happens to any device of the node. */
  watch(onChanges: (changes: readonly Change[]) => void): Disposable;
}

/**
 * The stack must not answer in place of the programs: no IPv6 of its own on the device, no filter that would drop what
 * the programs hand to the stack.
 */
const settings = [
  ['ipv6/conf', 'disable_ipv6', '1'],
  ['ipv6/conf', 'accept_ra', '0'],
  ['ipv4/conf', 'rp_filter', '0'],
  ['ipv4/conf', 'proxy_arp', '0'],
] as const;

export function podDevices({ netlink, procPath }: { netlink: Netlink; procPath: string }): PodDevices {
  return {
    find: (name) => netlink.links.get(name),
    bringUp({ hostName, hostIfindex }) {
      for (const [family, setting, value] of settings) {
        writeSetting(join(procPath, 'sys/net', family, hostName, setting), value);
      }
      netlink.links.set({ ifindex: hostIfindex, up: true });
    },
    nameBack(name, ifindex) {
      const link = netlink.links.get(ifindex);
      if (link && link.kind === 'veth' && link.name !== name) netlink.links.set({ ifindex, name });
    },
    isThere: (ifindex) => netlink.links.get(ifindex) !== undefined,
    remove(name) {
      // Without the lock of all devices, which is held while the kernel lets go of another.
      if (!existsSync(join(procPath, 'sys/net/ipv4/conf', name))) return;
      const link = netlink.links.get(name);
      if (link) netlink.links.delete(link.ifindex);
    },
    list: () => netlink.links.list().filter((link) => isHostName(link.name)),
    watch: (onChanges) => netlink.subscribe({ topics: ['links'], onChanges }),
  };
}

// Absent where the kernel was booted without IPv6; written only when different, which costs nothing on a restart.
function writeSetting(path: string, value: string): void {
  try {
    if (readFileSync(path, 'utf8').trim() !== value) writeFileSync(path, value);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
}
