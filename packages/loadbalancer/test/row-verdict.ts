/** Rows of desired frontends, looked up in the order of `bpf/lib/service.h` and `dnat.h`. */

import { familyOf, formatAddressPort, parseAddress, prefixContains } from '@sluice/net';
import { anyAddress, type DesiredFrontend, keyOf } from '../src/frontend.ts';
import type { Asked, ModelClient, ModelNode, Verdict } from './service-model.ts';

const nodePorts = { first: 30_000, last: 32_767 };

export function rowVerdict(
  rows: readonly DesiredFrontend[],
  { asked, client, node }: { readonly asked: Asked; readonly client: ModelClient; readonly node: ModelNode },
): Verdict {
  const isOutside = client.kind === 'outside';
  const row = rowFor(rows, asked, { isOutside, node });
  if (row === undefined) return { verdict: isOwned(rows, asked, isOutside) ? 'rejected' : 'untouched' };
  if (!isAllowed(row, client)) return { verdict: 'dropped', why: 'not allowed' };
  const backends = row.backends.map(({ address, port }) => plain(formatAddressPort(address, port))).sort();
  if (backends.length > 0) return { verdict: 'served', backends };
  return row.isElsewhere ? { verdict: 'dropped', why: 'nobody here' } : { verdict: 'rejected' };
}

/** frontend_resolve, frontend_resolve_external */
function rowFor(
  rows: readonly DesiredFrontend[],
  asked: Asked,
  { isOutside, node }: { readonly isOutside: boolean; readonly node: ModelNode },
): DesiredFrontend | undefined {
  const address = parseAddress(asked.address);
  const isNodePort =
    asked.port >= nodePorts.first && asked.port <= nodePorts.last && node.addresses.includes(asked.address);
  const key = keyOf(
    { address: isNodePort ? anyAddress(familyOf(address)) : address, port: asked.port },
    asked.protocol,
  );
  const internal = rows.find((row) => row.key === key);
  if (!isOutside) return internal;
  return rows.find((row) => row.key === `${key}/external`) ?? (internal?.isExternal ? internal : undefined);
}

/** dnat_is_shared */
function isOwned(rows: readonly DesiredFrontend[], { address }: Asked, isOutside: boolean): boolean {
  const own = rows.filter((row) => row.address === parseAddress(address));
  return own.some(({ isExternal, type }) => (isOutside ? isExternal : type !== 'ExternalIP'));
}

/** service_allows */
function isAllowed({ sourceRanges, isNodeAllowed }: DesiredFrontend, { kind, address }: ModelClient): boolean {
  if (sourceRanges === undefined) return true;
  return kind === 'node' ? isNodeAllowed : sourceRanges.some((range) => prefixContains(range, parseAddress(address)));
}

/** As the model names a backend. */
export function plain(place: string): string {
  return place.replace(/^\[|\](?=:\d+$)/g, '');
}
