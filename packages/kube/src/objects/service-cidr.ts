import { formatPrefix, type Prefix } from '@sluice/net';
import { distinct } from '../field.ts';
import { type ObjectRow, openObject } from './metadata.ts';

/** Where ClusterIPs come from. */
export interface ServiceCidrObject extends ObjectRow {
  readonly cidrs: readonly Prefix[];
}

export function parseServiceCidr(object: unknown): ServiceCidrObject {
  const { root, name, uid } = openObject(object, 'ServiceCIDR');
  const fields = root.get('spec').get('cidrs').items();
  return { name, uid, cidrs: distinct(fields, (field) => field.prefix(), formatPrefix), problems: root.problems };
}
