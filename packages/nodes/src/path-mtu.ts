import { type Address, familyOf, prefixContains } from '@sluice/net';
import { type Link, type Route, routeTable } from '@sluice/netlink';

/** Where packets to an address go by the main table: the longest prefix, of equal ones the lowest metric. */
export function routeTo(routes: readonly Route[], address: Address): Route | undefined {
  const family = familyOf(address);
  let best: Route | undefined;
  for (const route of routes) {
    if (route.table !== routeTable.main || route.family !== family) continue;
    if (!prefixContains(route.destination, address)) continue;
    if (best === undefined || isBetter(route, best)) best = route;
  }
  return best;
}

function isBetter(route: Route, than: Route): boolean {
  if (route.destination.length !== than.destination.length) return route.destination.length > than.destination.length;
  return route.metric < than.metric;
}

/**
 * The largest packet that the route to an address takes: its own MTU, or that of its devices, of several paths the
 * smallest. Undefined without a route.
 */
export function pathMtu(
  { routes, links }: { readonly routes: readonly Route[]; readonly links: readonly Link[] },
  address: Address,
): number | undefined {
  const route = routeTo(routes, address);
  if (route === undefined || route.type !== 'unicast') return undefined;
  const ifindexes = [route.ifindex, ...route.hops.map((hop) => hop.ifindex)];
  const devices = links.filter((link) => ifindexes.includes(link.ifindex)).map((link) => link.mtu);
  const limits = [...devices, ...(route.mtu === undefined || route.mtu === 0 ? [] : [route.mtu])];
  return limits.length === 0 ? undefined : Math.min(...limits);
}
