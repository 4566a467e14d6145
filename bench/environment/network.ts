import { writeFileSync } from 'node:fs';
import { inNetworkNamespace } from '@sluice/ffi';
import { setOffload, temporaryNetworkNamespace } from '@sluice/testing';
import { ip } from './inside.ts';

/** Network namespaces of a run, and cables between them. */
export interface BenchNetwork extends Disposable {
  /** Makes a namespace with these settings, loopback up; gives its path. */
  namespace(settings?: Readonly<Record<string, string>>): string;
  remove(path: string): void;
}

/** What forwards packets between its devices, as a node does. */
export const forwarding = { 'net/ipv4/ip_forward': '1', 'net/ipv6/conf/all/forwarding': '1' };

export function benchNetwork(): BenchNetwork {
  const namespaces = new Map<string, Disposable>();
  return {
    namespace(settings = {}) {
      const namespace = temporaryNetworkNamespace();
      namespaces.set(namespace.path, namespace);
      namespace.run(() => {
        for (const [name, value] of Object.entries(settings)) writeFileSync(`/proc/sys/${name}`, value);
      });
      return namespace.path;
    },
    remove(path) {
      namespaces.get(path)?.[Symbol.dispose]();
      namespaces.delete(path);
    },
    [Symbol.dispose]() {
      for (const namespace of namespaces.values()) namespace[Symbol.dispose]();
      namespaces.clear();
    },
  };
}

export interface CableEnd {
  readonly netns: string;
  readonly device: string;
  /** With the length of its prefix. */
  readonly address?: string;
  readonly mac?: string;
}

/** A veth pair, both ends up. */
export function cable(near: CableEnd, far: CableEnd): void {
  ip(near.netns, `link add ${near.device} type veth peer name ${far.device} netns ${far.netns}`);
  for (const { netns, device, address, mac } of [near, far]) {
    ip(
      netns,
      ...(mac ? [`link set ${device} address ${mac}`] : []),
      ...(address ? [`address add ${address} dev ${device} nodad`] : []),
      `link set ${device} up`,
    );
  }
}

/** As between machines: packets have whole checksums, and what comes in is merged, without which a veth takes no frames of XDP. */
export function makeReal(...ends: readonly Pick<CableEnd, 'netns' | 'device'>[]): void {
  for (const { netns, device } of ends) {
    inNetworkNamespace(netns, () => {
      setOffload(device, 'transmitChecksums', false);
      setOffload(device, 'receiveMerging', true);
    });
  }
}
