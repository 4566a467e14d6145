import { type Endpoint, type Endpoints, podName } from '@sluice/endpoint';
import type { WithdrawnPods } from '@sluice/loadbalancer';
import type { Address } from '@sluice/net';

/** More than a node has pods; the oldest is known to the API by then. */
const podsMax = 8_192;

/** Pods that CNI has deleted, until one of the same name gets the address again. */
export function withdrawnPods(table: Pick<Endpoints['table'], 'subscribe'>): WithdrawnPods {
  const gone = new Set<string>();
  return {
    has: (address, pod) => gone.has(keyOf(address, pod)),
    subscribe: (listener) =>
      table.subscribe((changes) => {
        const addresses = new Set<Address>();
        for (const { before, after } of changes) {
          for (const key of after === undefined ? keysOf(before) : []) gone.add(key);
          for (const key of keysOf(after)) gone.delete(key);
          if (before === undefined || after === undefined)
            for (const address of addressesOf(before ?? after)) addresses.add(address);
        }
        for (const oldest of [...gone].slice(0, Math.max(0, gone.size - podsMax))) gone.delete(oldest);
        if (addresses.size > 0) listener(addresses);
      }),
  };
}

function addressesOf(endpoint: Endpoint | undefined): Address[] {
  return [endpoint?.ipv4, endpoint?.ipv6].filter((address) => address !== undefined);
}

function keysOf(endpoint: Endpoint | undefined): string[] {
  return endpoint === undefined ? [] : addressesOf(endpoint).map((address) => keyOf(address, podName(endpoint)));
}

function keyOf(address: Address, pod: string): string {
  return `${address} ${pod}`;
}
