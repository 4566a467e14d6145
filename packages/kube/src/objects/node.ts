import { type Address, formatPrefix, type Prefix } from '@sluice/net';
import { distinct, type Field, present } from '../field.ts';
import { type ObjectRow, openObject } from './metadata.ts';

export interface NodeAddress {
  readonly type: 'InternalIP' | 'ExternalIP';
  readonly address: Address;
}

export interface NodeObject extends ObjectRow {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly addresses: readonly NodeAddress[];
  readonly podCidrs: readonly Prefix[];
  /** The kubelet's own word, as far as the API server has it. */
  readonly ready: boolean;
  readonly terminating: boolean;
  readonly zone: string | undefined;
  /** Their keys. */
  readonly taints: readonly string[];
}

const zoneLabel = 'topology.kubernetes.io/zone';
const annotationPrefixes = ['network.cilium.io/', 'io.cilium', 'cilium.io/', 'sluice.io/'];

export function parseNode(object: unknown): NodeObject {
  const { root, name, uid } = openObject(object, 'Node');
  const metadata = root.get('metadata');
  const [spec, status] = [root.get('spec'), root.get('status')];
  const labels = metadata.get('labels').texts();
  return {
    name,
    uid,
    labels,
    annotations: metadata
      .get('annotations')
      .texts((key) => annotationPrefixes.some((prefix) => key.startsWith(prefix))),
    addresses: distinct(status.get('addresses').items(), nodeAddress, ({ type, address }) => `${type} ${address}`),
    podCidrs: podCidrs(spec),
    ready: isTrue(status.get('conditions'), 'Ready'),
    terminating: metadata.get('deletionTimestamp').present,
    zone: labels[zoneLabel],
    taints: present(
      spec
        .get('taints')
        .items()
        .map((taint) => taint.get('key').text()),
    ),
    problems: root.problems,
  };
}

/** Whether a list of conditions has this type with status "True". */
export function isTrue(conditions: Field, type: string): boolean {
  return conditions.items().some((item) => item.get('type').value === type && item.get('status').value === 'True');
}

function nodeAddress(field: Field): NodeAddress | undefined {
  const type = field.get('type').value;
  // Hostname, InternalDNS and ExternalDNS are not addresses.
  if (type !== 'InternalIP' && type !== 'ExternalIP') return undefined;
  const address = field.get('address').address();
  return address && { type, address };
}

function podCidrs(spec: Field): Prefix[] {
  const list = spec.get('podCIDRs').items();
  const fields = list.length > 0 ? list : [spec.get('podCIDR')].filter((field) => field.value !== '');
  return distinct(fields, (field) => field.prefix(), formatPrefix);
}
