import type { LinkStatus } from '@sluice/datapath';

/** The pins' names of the socket hooks. */
export const sockHooks = ['connect', 'sendmsg', 'recvmsg', 'getpeername'].flatMap((name) => [
  `sock_${name}4`,
  `sock_${name}6`,
]);

export interface WantedLinks {
  /** Whether services are translated at sockets. */
  readonly sockets: boolean;
  readonly podDevices: readonly string[];
}

/** Names of the links that are wanted and not found attached. */
export function missingLinks(found: readonly LinkStatus[], { sockets, podDevices }: WantedLinks): string[] {
  const attached = new Set(found.flatMap((link) => (link.attached ? [link.name] : [])));
  const wanted = ['overlay', 'host', ...(sockets ? sockHooks : []), ...podDevices.map((device) => `pod_${device}`)];
  return wanted.filter((name) => !attached.has(name));
}
