import { runInsideSync } from './inside.ts';

/** Entries of the kernel's own connection tracking in a namespace: on our way there are none, on a peer's there are. */
export function trackedConnections(netns: string): number {
  return Number(runInsideSync({ netns }, ['cat', '/proc/sys/net/netfilter/nf_conntrack_count'], ''));
}
