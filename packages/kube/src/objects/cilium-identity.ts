import { IDENTITY_MAX, IDENTITY_MIN, type IdentityId } from '@sluice/model';
import { MalformedObjectError } from '../field.ts';
import { type ObjectRow, openObject } from './metadata.ts';

/** A set of labels and its number, which is the object's name. */
export interface CiliumIdentityObject extends ObjectRow {
  readonly id: IdentityId;
  /** `k8s:app=web`, sorted. */
  readonly labels: readonly string[];
  /** Milliseconds since the epoch: nobody has used it from then on, and nobody may begin to. Undefined: it is in use. */
  readonly unusedSince: number | undefined;
}

/** Set by the operator's garbage collector. */
export const unusedSinceAnnotation = 'sluice.io/unused-since';

/** Throws where the name is no number that may travel: such an object stands for nothing. */
export function parseCiliumIdentity(object: unknown): CiliumIdentityObject {
  const { root, name, uid } = openObject(object, 'CiliumIdentity');
  const id = /^[1-9]\d{0,8}$/.test(name) ? Number(name) : 0;
  if (id < IDENTITY_MIN || id > IDENTITY_MAX) {
    throw new MalformedObjectError(
      `CiliumIdentity ${name}: the name is no number from ${IDENTITY_MIN} to ${IDENTITY_MAX}`,
    );
  }
  const labels = Object.entries(root.get('security-labels').texts()).map(([key, value]) => `${key}=${value}`);
  if (labels.length === 0) throw new MalformedObjectError(`CiliumIdentity ${name} without security-labels`);
  const unusedSince = root.get('metadata').get('annotations').get(unusedSinceAnnotation).time();
  return { name, uid, id, labels: labels.sort(), unusedSince, problems: root.problems };
}
