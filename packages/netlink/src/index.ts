/**
 * Devices, addresses, routes, neighbours, policy rules and filters of a network namespace, spoken with the kernel directly
 * (rtnetlink): pure codecs for the messages, a synchronous question-and-answer socket, and change notifications.
 *
 * It decides nothing: which device, address or route ought to exist is the business of the packages above. Begin with
 * `netlink.ts`.
 */
export type { AddressSpec, InterfaceAddress, Scope } from './address.ts';
export { hasCode, NetlinkError } from './error.ts';
export type { Filter } from './filter.ts';
export type { FrameFeatures } from './frame-features.ts';
export type { Link, LinkChange, LinkSpec } from './link.ts';
export type { Neighbour, NeighbourSpec, NeighbourState } from './neighbour.ts';
export { type Netlink, openNetlink } from './netlink.ts';
export { type Route, type RouteSpec, type RouteType, routeProtocol, routeTable } from './route.ts';
export type { Rule } from './rule.ts';
export type { Change, Topic } from './subscription.ts';
