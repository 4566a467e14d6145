import { type Endpoint, type Endpoints, podName } from '@sluice/endpoint';
import type { WithdrawnPods } from '@sluice/loadbalancer';
import type { Address } from '@sluice/net';

/** More than a node has pods; the oldest is known to the API by then. */
const podsMax = 8_192;

/** Pods that CNI has deleted, until one of the same name gets the address again. */
export function withdrawnPods(table: Pick<Endpoints['table'], 'subscribe'>, nodeName: string): WithdrawnPods {
  const gone = new Set<string>();
  return {
    nodeName,
    has: (address, pod) => gone.has(keyOf(address, pod)),
    subscribe: (listener) =>
      table.subscribe((changes) => {
        const addresses = new Set<Address>();
        for (const { before, after } of changes) {
          for (const address of after === undefined ? addressesOf(before) : []) {
            gone.add(keyOf(address, nameOf(before)));
            addresses.add(address);
          }
          for (const address of addressesOf(after))
            if (gone.delete(keyOf(address, nameOf(after)))) addresses.add(address);
        }
        for (const oldest of [...gone].slice(0, Math.max(0, gone.size - podsMax))) gone.delete(oldest);
        if (addresses.size > 0) listener(addresses);
      }),
  };
}

function addressesOf(endpoint: Endpoint | undefined): Address[] {
  return [endpoint?.ipv4, endpoint?.ipv6].filter((address) => address !== undefined);
}

function nameOf(endpoint: Endpoint | undefined): string {
  return endpoint === undefined ? '' : podName(endpoint);
}

function keyOf(address: Address, pod: string): string {
  return `${address} ${pod}`;
}
