import type { Link } from '@sluice/netlink';
import type { PodDevices } from '../src/device.ts';
import type { EndpointMap, EndpointMaps, PodPrograms } from '../src/ports.ts';

export function fakeMaps(): EndpointMaps {
  return { endpoints: fakeMap(), netnsEndpoints: fakeMap() };
}

function fakeMap<Key, Value>(): EndpointMap<Key, Value> {
  const rows = new Map<Key, Value>();
  return {
    update: (key, value) => void rows.set(key, value),
    delete: (key) => rows.delete(key),
    lookup: (key) => rows.get(key),
    entries: () => rows.entries(),
  };
}

export function fakePrograms(): PodPrograms & { readonly attached: Map<string, number> } {
  const attached = new Map<string, number>();
  return {
    attached,
    attachPod: (name, ifindex) => void attached.set(name, ifindex),
    detachPod: (name) => void attached.delete(name),
    forgetPod: (name) => void attached.delete(name),
    listPodLinks: () => [...attached].map(([device, ifindex]) => ({ device, ifindex })),
  };
}

export function fakeDevices(links: readonly Link[]): PodDevices & { readonly links: Map<string, Link> } {
  const byName = new Map(links.map((link) => [link.name, link]));
  return {
    links: byName,
    find: (name) => byName.get(name),
    bringUp({ hostName }) {
      const link = byName.get(hostName);
      if (link) byName.set(hostName, { ...link, up: true });
    },
    nameBack: () => undefined,
    isThere: (ifindex) => byName.values().some((link) => link.ifindex === ifindex),
    remove: (name) => void byName.delete(name),
    list: () => [...byName.values()],
    watch: () => ({ [Symbol.dispose]: () => undefined }),
  };
}

export function vethLink(name: string, ifindex: number): Link {
  return {
    ifindex,
    name,
    mtu: 1500,
    up: false,
    carrier: false,
    loopback: false,
    arp: true,
    kind: 'veth',
    peerIfindex: 2,
  };
}
