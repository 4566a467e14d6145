import { attachIterator, type Link, readIterator } from '@sluice/bpf';
import { inNetworkNamespace } from '@sluice/ffi';
import type { Peer } from './generated/structs.ts';
import type { DatapathMaps } from './maps.ts';
import type { Programs } from './objects.ts';

export interface StaleSocket {
  readonly cookie: bigint;
  /** Where it sends to, and where nobody is any more. */
  readonly backend: Peer;
}

/** Ends sockets whose backend is gone: their owners get ECONNABORTED, now and not when they lose patience. */
export interface StaleSockets extends Disposable {
  /**
   * Those of them that are in one network namespace, the calling thread's own without `namespace`; returns the cookies of
   * those that it has ended. A socket that has another peer by now is left alone. At most STALE_SOCKETS_MAX at once.
   */
  end(sockets: readonly StaleSocket[], namespace?: string): bigint[];
}

/** As many as map stale_sockets has room for. */
export const staleSocketsMax = 4096;

export function openStaleSockets(programs: Programs, maps: Pick<DatapathMaps, 'staleSockets'>): StaleSockets {
  using stack = new DisposableStack();
  stack.use(programs);
  const links = ['stale_udp', 'stale_tcp'].map((name) => stack.use(attachIterator({ program: programs.get(name) })));
  // Of an agent that was killed while it ended sockets: they may have another peer at the same place by now.
  maps.staleSockets.deleteBatch([...maps.staleSockets.entries()].map(([cookie]) => cookie));
  const owned = stack.move();
  return {
    end(sockets, namespace) {
      const named = sockets.slice(0, staleSocketsMax);
      try {
        maps.staleSockets.updateBatch(named.map(({ cookie, backend }) => [cookie, backend] as const));
        const read = () => links.flatMap(readCookies);
        return namespace === undefined ? read() : inNetworkNamespace(namespace, read);
      } finally {
        maps.staleSockets.deleteBatch(named.map(({ cookie }) => cookie));
      }
    },
    [Symbol.dispose]: () => owned.dispose(),
  };
}

function readCookies(link: Link): bigint[] {
  const bytes = readIterator(link);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: Math.floor(bytes.byteLength / 8) }, (_, index) => view.getBigUint64(8 * index, true));
}
