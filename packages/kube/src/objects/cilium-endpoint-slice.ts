import { IDENTITY_MAX, type IdentityId } from '@sluice/model';
import { type Address, familyOf } from '@sluice/net';
import { type Field, present } from '../field.ts';
import { type ObjectRow, openObject } from './metadata.ts';

/** Endpoints of one node in one namespace with their identities, as their node publishes them. */
export interface CiliumEndpointSliceObject extends ObjectRow {
  readonly namespace: string;
  /** The node that owns the object; undefined: none does, and nobody can tell where its endpoints are. */
  readonly node: string | undefined;
  readonly nodeUid: string | undefined;
  /** What the endpoints say of the node's address; a true slice has one. */
  readonly nodeAddresses: readonly Address[];
  readonly endpoints: readonly PublishedEndpoint[];
}

export interface PublishedEndpoint {
  /** Of the pod. */
  readonly name: string;
  readonly identity: IdentityId;
  readonly ipv4: Address | undefined;
  readonly ipv6: Address | undefined;
}

// We write 16; the incumbent as many as 100. More is somebody's mistake.
const endpointsMax = 256;

export function parseCiliumEndpointSlice(object: unknown): CiliumEndpointSliceObject {
  const { root, name, uid } = openObject(object, 'CiliumEndpointSlice');
  const owner = root
    .get('metadata')
    .get('ownerReferences')
    .items()
    .find((reference) => reference.get('kind').value === 'Node');
  const fields = root.get('endpoints').items();
  if (fields.length > endpointsMax) root.get('endpoints').problem(`only the first ${endpointsMax} are used`);
  const used = fields.slice(0, endpointsMax);
  return {
    name,
    uid,
    namespace: root.get('namespace').text() ?? '',
    node: owner?.get('name').text(),
    nodeUid: owner?.get('uid').text(),
    nodeAddresses: [...new Set(present(used.map((field) => field.get('networking').get('node').address())))],
    endpoints: present(used.map(publishedEndpoint)),
    problems: root.problems,
  };
}

function publishedEndpoint(field: Field): PublishedEndpoint | undefined {
  const name = field.get('name').text();
  const identity = field.get('id').integer(1, IDENTITY_MAX);
  if (!name) field.get('name').problem('missing');
  if (!field.get('id').present) field.get('id').problem('missing');
  const pairs = field.get('networking').get('addressing').items();
  if (pairs.length > 1) field.get('networking').get('addressing').problem('only the first pair of addresses is used');
  const [pair] = pairs;
  const ipv4 = pair && addressOf(pair.get('ipv4'), 4);
  const ipv6 = pair && addressOf(pair.get('ipv6'), 6);
  if (!name || identity === undefined) return undefined;
  if (ipv4 === undefined && ipv6 === undefined) {
    field.problem('no address');
    return undefined;
  }
  return { name, identity, ipv4, ipv6 };
}

function addressOf(field: Field, family: 4 | 6): Address | undefined {
  const address = field.value === '' ? undefined : field.address();
  if (address === undefined || familyOf(address) === family) return address;
  field.problem(`${address} is not an IPv${family} address`);
  return undefined;
}
