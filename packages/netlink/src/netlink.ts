import { formatPrefix } from '@sluice/net';
import {
  type AddressSpec,
  decodeInterfaceAddress,
  encodeAddressDeletion,
  encodeAddressQuery,
  encodeAddressSpec,
  type InterfaceAddress,
} from './address.ts';
import { Conversation } from './conversation.ts';
import { hasCode, NetlinkError } from './error.ts';
import { decodeFilter, decodeFilterPlace, encodeFiltersQuery, encodePlacesQuery, type Filter } from './filter.ts';
import { type FrameFeatures, genericProtocol, readFrameFeatures } from './frame-features.ts';
import {
  decodeLink,
  encodeLinkChange,
  encodeLinkDeletion,
  encodeLinkQuery,
  encodeLinkSpec,
  type Link,
  type LinkChange,
  type LinkSpec,
} from './link.ts';
import { messageFlag, routing } from './message.ts';
import {
  decodeNeighbour,
  encodeNeighbourDeletion,
  encodeNeighbourQuery,
  encodeNeighbourSpec,
  type Neighbour,
  type NeighbourSpec,
} from './neighbour.ts';
import {
  decodeRoute,
  encodeRouteDeletion,
  encodeRouteQuery,
  encodeRouteSpec,
  type Route,
  type RouteSpec,
} from './route.ts';
import { decodeRule, encodeRuleQuery, type Rule } from './rule.ts';
import { NetlinkSocket } from './socket.ts';
import { type SubscriptionOptions, subscribe } from './subscription.ts';

const families = [4, 6] as const;
const create = messageFlag.create | messageFlag.exclusive;
const replace = messageFlag.create | messageFlag.replace;

/** A network namespace's devices, addresses, routes, neighbours and rules; every call is one synchronous exchange. */
export interface Netlink extends Disposable {
  readonly links: {
    list(): Link[];
    /** Undefined when there is none. */
    get(which: string | number): Link | undefined;
    /** EEXIST when the name is taken. */
    create(spec: LinkSpec): Link;
    set(change: LinkChange): void;
    /** False: it was not there. */
    delete(ifindex: number): boolean;
    /** Undefined: it is gone. */
    frameFeatures(ifindex: number): FrameFeatures | undefined;
  };
  readonly addresses: {
    list(ifindex?: number): InterfaceAddress[];
    /** Sets lifetimes and flags anew where the address is there already. */
    add(spec: AddressSpec): void;
    delete(which: Pick<AddressSpec, 'ifindex' | 'address' | 'length'>): boolean;
  };
  readonly routes: {
    /** Both families; default all tables. */
    list(filter?: { family?: 4 | 6; table?: number; protocol?: number }): Route[];
    /** EEXIST: one with this table, destination and metric is there, whoever made it. */
    add(spec: RouteSpec): void;
    /** Creates it, or takes the place of the one with this table, destination and metric. */
    replace(spec: RouteSpec): void;
    delete(which: Pick<RouteSpec, 'destination' | 'table' | 'metric' | 'ifindex' | 'protocol' | 'type'>): boolean;
  };
  readonly neighbours: {
    list(filter?: { ifindex?: number }): Neighbour[];
    replace(spec: NeighbourSpec): void;
    delete(which: Pick<NeighbourSpec, 'ifindex' | 'address'>): boolean;
  };
  readonly rules: { list(): Rule[] };
  /** Of `tc`, at clsact and ingress; of those devices only. */
  readonly filters: { list(ifindexes: ReadonlySet<number>): Filter[] };
  /** Changes from now on; read the lists after subscribing, then nothing is missed. */
  subscribe(options: Omit<SubscriptionOptions, 'namespace'>): Disposable;
}

/** Opens the caller's network namespace, or the one that a file such as /run/netns/x or /proc/PID/ns/net stands for. */
export function openNetlink(options: { namespace?: string } = {}): Netlink {
  const socket = NetlinkSocket.open(options.namespace);
  const conversation = new Conversation(socket);
  return {
    links: { ...links(conversation), frameFeatures: (ifindex) => frameFeatures(ifindex, options.namespace) },
    addresses: addresses(conversation),
    routes: routes(conversation),
    neighbours: neighbours(conversation),
    rules: { list: () => families.flatMap((family) => listRules(conversation, family)) },
    filters: { list: (ifindexes) => listFilters(conversation, ifindexes) },
    subscribe: (subscription) => subscribe({ ...subscription, ...options }),
    [Symbol.dispose]: () => socket[Symbol.dispose](),
  };
}

/** Asked seldom, and of another protocol: by a socket of its own each time. */
function frameFeatures(ifindex: number, namespace: string | undefined): FrameFeatures | undefined {
  using socket = NetlinkSocket.open(namespace, genericProtocol);
  return readFrameFeatures(new Conversation(socket), ifindex);
}

function links(conversation: Conversation): Omit<Netlink['links'], 'frameFeatures'> {
  const get = (which: string | number): Link | undefined => {
    const query = typeof which === 'number' ? { ifindex: which } : { name: which };
    const reply = optional(['ENODEV'], () =>
      conversation.request({ action: `read link ${which}`, type: routing.linkGet, body: encodeLinkQuery(query) }),
    )?.[0];
    return reply && decodeLink(reply.body);
  };
  return {
    list: () =>
      conversation
        .dump({ action: 'list links', type: routing.linkGet, body: encodeLinkQuery('all') })
        .map((message) => decodeLink(message.body)),
    get,
    create(spec) {
      const action = `create ${spec.kind} ${spec.name}`;
      conversation.request({ action, type: routing.linkNew, flags: create, body: encodeLinkSpec(spec) });
      const link = get(spec.name);
      if (link === undefined) throw new NetlinkError(`${action}: it vanished at once`, { code: 'ENODEV' });
      return link;
    },
    set: (change) =>
      void conversation.request({
        action: `set link ${change.ifindex}`,
        type: routing.linkNew,
        body: encodeLinkChange(change),
      }),
    delete: (ifindex) =>
      found(['ENODEV'], () =>
        conversation.request({
          action: `delete link ${ifindex}`,
          type: routing.linkDelete,
          body: encodeLinkDeletion(ifindex),
        }),
      ),
  };
}

function addresses(conversation: Conversation): Netlink['addresses'] {
  return {
    list: (ifindex) =>
      conversation
        .dump({ action: 'list addresses', type: routing.addressGet, body: encodeAddressQuery(ifindex) })
        .flatMap((message) => decodeInterfaceAddress(message.body) ?? []),
    add(spec) {
      const action = `add address ${spec.address}/${spec.length} to link ${spec.ifindex}`;
      conversation.request({ action, type: routing.addressNew, flags: replace, body: encodeAddressSpec(spec) });
    },
    delete(which) {
      const action = `delete address ${which.address}/${which.length} from link ${which.ifindex}`;
      return found(['EADDRNOTAVAIL', 'ENODEV'], () =>
        conversation.request({ action, type: routing.addressDelete, body: encodeAddressDeletion(which) }),
      );
    },
  };
}

function routes(conversation: Conversation): Netlink['routes'] {
  const listFamily = (family: 4 | 6): Route[] =>
    conversation
      .dump({ action: `list IPv${family} routes`, type: routing.routeGet, body: encodeRouteQuery(family) })
      .flatMap((message) => decodeRoute(message.body) ?? []);
  return {
    list: (filter = {}) =>
      families
        .filter((family) => filter.family === undefined || filter.family === family)
        .flatMap(listFamily)
        .filter((route) => filter.table === undefined || filter.table === route.table)
        .filter((route) => filter.protocol === undefined || filter.protocol === route.protocol),
    add(spec) {
      const action = `add route ${formatPrefix(spec.destination)}`;
      conversation.request({ action, type: routing.routeNew, flags: create, body: encodeRouteSpec(spec) });
    },
    replace(spec) {
      const action = `set route ${formatPrefix(spec.destination)}`;
      conversation.request({ action, type: routing.routeNew, flags: replace, body: encodeRouteSpec(spec) });
    },
    delete(which) {
      const action = `delete route ${formatPrefix(which.destination)}`;
      return found(['ESRCH', 'ENODEV'], () =>
        conversation.request({ action, type: routing.routeDelete, body: encodeRouteDeletion(which) }),
      );
    },
  };
}

function neighbours(conversation: Conversation): Netlink['neighbours'] {
  const listFamily = (family: 4 | 6): Neighbour[] =>
    conversation
      .dump({ action: `list IPv${family} neighbours`, type: routing.neighbourGet, body: encodeNeighbourQuery(family) })
      .flatMap((message) => decodeNeighbour(message.body) ?? []);
  return {
    list: (filter = {}) =>
      families.flatMap(listFamily).filter((row) => filter.ifindex === undefined || filter.ifindex === row.ifindex),
    replace(spec) {
      const action = `set neighbour ${spec.address} on link ${spec.ifindex}`;
      conversation.request({ action, type: routing.neighbourNew, flags: replace, body: encodeNeighbourSpec(spec) });
    },
    delete(which) {
      const action = `delete neighbour ${which.address} from link ${which.ifindex}`;
      return found(['ENOENT', 'ENODEV'], () =>
        conversation.request({ action, type: routing.neighbourDelete, body: encodeNeighbourDeletion(which) }),
      );
    },
  };
}

function listRules(conversation: Conversation, family: 4 | 6): Rule[] {
  return conversation
    .dump({ action: `list IPv${family} rules`, type: routing.ruleGet, body: encodeRuleQuery(family) })
    .flatMap((message) => decodeRule(message.body) ?? []);
}

/** Only where there is a place for them: most devices have none, and one question tells. */
function listFilters(conversation: Conversation, ifindexes: ReadonlySet<number>): Filter[] {
  const places = conversation
    .dump({ action: 'list qdiscs', type: routing.qdiscGet, body: encodePlacesQuery() })
    .flatMap((message) => decodeFilterPlace(message.body) ?? [])
    .filter(({ ifindex }) => ifindexes.has(ifindex));
  const filtersAt = (ifindex: number, hook: Filter['hook']): Filter[] =>
    (
      optional(['ENODEV', 'EINVAL', 'ENOENT'], () =>
        conversation.dump({
          action: `list filters at ${hook} of link ${ifindex}`,
          type: routing.filterGet,
          body: encodeFiltersQuery(ifindex, hook),
        }),
      ) ?? []
    ).flatMap((message) => decodeFilter(message.body, hook) ?? []);
  return places.flatMap(({ ifindex, hooks }) => hooks.flatMap((hook) => filtersAt(ifindex, hook)));
}

/** The answer, or undefined where the refusal says that the thing is not there. */
function optional<Answer>(absentCodes: readonly string[], ask: () => Answer): Answer | undefined {
  try {
    return ask();
  } catch (error) {
    if (hasCode(error, ...absentCodes)) return undefined;
    throw error;
  }
}

function found(absentCodes: readonly string[], ask: () => unknown): boolean {
  return optional(absentCodes, () => ({ answer: ask() })) !== undefined;
}
