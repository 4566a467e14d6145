import { type Address, formatPrefix } from '@sluice/net';
import { type RowStatus, Table } from '@sluice/state';
import type { Device } from './device.ts';
import type { Node } from './node.ts';

/** An address of a device, and what is wrong with it, if so. */
export interface DeviceAddress {
  readonly device: string;
  readonly address: Address;
  readonly length: number;
  readonly scope: string;
  /** `tentative`, `duplicate`, `deprecated`, `temporary`; empty for an ordinary one. */
  readonly marks: readonly string[];
}

/** A node with how the kernel's rows for it fare. */
export interface NodeRow extends Node {
  readonly status: RowStatus;
}

export function deviceTable(): Table<Device> {
  return new Table<Device>({
    name: 'devices',
    key: (row) => row.name,
    columns: {
      Name: (row) => row.name,
      Index: (row) => String(row.ifindex),
      Kind: (row) => row.kind ?? '',
      MTU: (row) => String(row.mtu),
      State: (row) => (row.up ? 'up' : 'down'),
      Addresses: (row) => row.addresses.join(', '),
      Selected: (row) => (row.selected ? 'yes' : 'no'),
      Why: (row) => row.why,
    },
  });
}

export function addressTable(): Table<DeviceAddress> {
  return new Table<DeviceAddress>({
    name: 'addresses',
    key: (row) => `${row.device} ${row.address}/${row.length}`,
    columns: {
      Device: (row) => row.device,
      Address: (row) => `${row.address}/${row.length}`,
      Scope: (row) => row.scope,
      Marks: (row) => row.marks.join(', '),
    },
  });
}

export function nodeTable(): Table<NodeRow> {
  return new Table<NodeRow>({
    name: 'nodes',
    key: (row) => row.name,
    columns: {
      Name: (row) => (row.local ? `${row.name} (local)` : row.name),
      Addresses: (row) => row.addresses.join(', '),
      'Pod CIDRs': (row) => row.podCidrs.map(formatPrefix).join(', '),
      Tunnel: (row) => row.tunnelEndpoint ?? '',
      MTU: (row) => (row.podMtu === 0 ? '' : String(row.podMtu)),
      State: (row) => row.status.state,
      Problems: (row) => [...row.problems, ...(row.status.error ? [row.status.error] : [])].join('; '),
    },
  });
}
