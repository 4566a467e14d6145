import { isSystemError, watchReadable } from '@sluice/ffi';
import { decodeInterfaceAddress, type InterfaceAddress } from './address.ts';
import { type DeviceSettings, decodeDeviceSettings } from './device-settings.ts';
import { decodeLink, type Link } from './link.ts';
import { decodeMessages, type Message, routing } from './message.ts';
import { decodeNeighbour, type Neighbour } from './neighbour.ts';
import { decodeRoute, type Route } from './route.ts';
import { decodeRule, type Rule } from './rule.ts';
import { NetlinkSocket } from './socket.ts';

export type Topic = 'links' | 'addresses' | 'routes' | 'neighbours' | 'rules' | 'settings';

/**
 * What the kernel reported. `missed` means that reports were lost (the socket's buffer was full) or unreadable: read
 * everything anew. It also comes for a report of a thing that has no form of its own here.
 */
export type Change =
  | { readonly topic: 'links'; readonly removed: boolean; readonly row: Link }
  | { readonly topic: 'addresses'; readonly removed: boolean; readonly row: InterfaceAddress }
  | { readonly topic: 'routes'; readonly removed: boolean; readonly row: Route }
  | { readonly topic: 'neighbours'; readonly removed: boolean; readonly row: Neighbour }
  | { readonly topic: 'rules'; readonly removed: boolean; readonly row: Rule }
  | { readonly topic: 'settings'; readonly removed: boolean; readonly row: DeviceSettings }
  | { readonly topic: 'missed'; readonly reason: string };

/** Multicast groups (RTNLGRP_*) by topic. */
const groups: Record<Topic, readonly number[]> = {
  links: [1],
  addresses: [5, 9],
  routes: [7, 11],
  neighbours: [3],
  rules: [8, 19],
  settings: [24, 25],
};

export interface SubscriptionOptions {
  readonly topics: readonly Topic[];
  readonly namespace?: string;
  /** Called once per readable socket with everything that was there, in the kernel's order. */
  readonly onChanges: (changes: readonly Change[]) => void;
  /** What `onChanges` throws. Default: uncaught. */
  readonly onError?: (error: unknown) => void;
  /** Whether the subscription alone keeps the process alive. Default false. */
  readonly keepAlive?: boolean;
}

/** Reports changes until disposed of. */
export function subscribe(options: SubscriptionOptions): Disposable {
  const socket = NetlinkSocket.subscribe(
    options.topics.flatMap((topic) => groups[topic]),
    options.namespace,
  );
  const watch = watchReadable(
    socket.fd,
    () => {
      const changes = drain(socket);
      if (changes.length > 0) options.onChanges(changes);
    },
    { keepAlive: options.keepAlive ?? false, ...(options.onError && { onError: options.onError }) },
  );
  let open = true;
  return {
    [Symbol.dispose]() {
      if (!open) return;
      open = false;
      watch[Symbol.dispose]();
      socket[Symbol.dispose]();
    },
  };
}

/** At most so many datagrams per turn of the loop; libuv calls again for the rest. */
const datagramsPerTurnMax = 1000;

function drain(socket: NetlinkSocket): Change[] {
  const changes: Change[] = [];
  for (let turn = 0; turn < datagramsPerTurnMax; turn++) {
    const datagram = receive(socket);
    if (datagram === 'overrun') return [discardAll(socket)];
    if (datagram === undefined) break;
    changes.push(...decodeChanges(datagram));
  }
  return changes;
}

/**
 * After an overrun the kernel drops further reports, without a word, until the queue has been empty once
 * (NETLINK_S_CONGESTED). So everything goes before anybody is told to read anew; what comes later is reported again.
 */
function discardAll(socket: NetlinkSocket): Change {
  while (receive(socket) !== undefined);
  return { topic: 'missed', reason: 'the kernel had more to report than the socket could hold' };
}

function receive(socket: NetlinkSocket): Uint8Array | 'overrun' | undefined {
  try {
    return socket.receive();
  } catch (error) {
    if (isSystemError(error, 'ENOBUFS')) return 'overrun';
    throw error;
  }
}

/** The changes of one datagram; an unreadable one is a `missed`, since we cannot know what it said. */
export function decodeChanges(datagram: Uint8Array): Change[] {
  try {
    return decodeMessages(datagram).flatMap((message) => decodeChange(message) ?? []);
  } catch (error) {
    return [{ topic: 'missed', reason: error instanceof Error ? error.message : String(error) }];
  }
}

function decodeChange(message: Message): Change | undefined {
  switch (message.type) {
    case routing.linkNew:
    case routing.linkDelete:
      return { topic: 'links', removed: message.type === routing.linkDelete, row: decodeLink(message.body) };
    case routing.addressNew:
    case routing.addressDelete:
      return change('addresses', message.type === routing.addressDelete, decodeInterfaceAddress(message.body));
    case routing.routeNew:
    case routing.routeDelete:
      return change('routes', message.type === routing.routeDelete, decodeRoute(message.body));
    case routing.neighbourNew:
    case routing.neighbourDelete:
      return change('neighbours', message.type === routing.neighbourDelete, decodeNeighbour(message.body));
    case routing.ruleNew:
    case routing.ruleDelete:
      return change('rules', message.type === routing.ruleDelete, decodeRule(message.body));
    case routing.settingsNew:
    case routing.settingsDelete:
      return change('settings', message.type === routing.settingsDelete, decodeDeviceSettings(message.body));
    default:
      return undefined;
  }
}

function change<Name extends Topic, Row>(topic: Name, removed: boolean, row: Row | undefined) {
  return row && { topic, removed, row };
}
