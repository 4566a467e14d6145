import type { Endpoints } from '@sluice/endpoint';
import type { NodesFeature } from '@sluice/nodes';

/** Indexes of the devices where our programs are. */
export interface HookedDevices {
  /** Made by us. */
  readonly own: readonly number[];
  /** Those that face the network; others use them, too. */
  readonly shared: readonly number[];
}

export function hookedDevices(nodes: NodesFeature, endpoints: Endpoints | undefined): HookedDevices {
  const { facts } = nodes;
  const ofNode = facts ? [facts.hostIfindex, facts.netIfindex, facts.overlayIfindex] : [];
  const ofPods = endpoints?.table.list().map((row) => row.hostIfindex) ?? [];
  const selected = nodes.devices.list().filter((device) => device.selected);
  return { own: [...ofNode, ...ofPods], shared: selected.map(({ ifindex }) => ifindex) };
}
