import { type NamespacedRow, openNamespacedObject } from './metadata.ts';

export interface LeaseObject extends NamespacedRow {
  readonly resourceVersion: string;
  /** Empty: released. */
  readonly holder: string;
  readonly durationSeconds: number;
  /** Milliseconds since the epoch by the holder's clock: only ever compared with itself. */
  readonly acquiredAt: number | undefined;
  readonly renewedAt: number | undefined;
  readonly transitions: number;
}

export function parseLease(object: unknown): LeaseObject {
  const { root, name, namespace, uid } = openNamespacedObject(object, 'Lease');
  const spec = root.get('spec');
  return {
    namespace,
    name,
    uid,
    resourceVersion: root.get('metadata').get('resourceVersion').text() ?? '',
    holder: spec.get('holderIdentity').text() ?? '',
    durationSeconds: spec.get('leaseDurationSeconds').integer(1, 86_400) ?? 0,
    acquiredAt: spec.get('acquireTime').time(),
    renewedAt: spec.get('renewTime').time(),
    transitions: spec.get('leaseTransitions').integer(0, 2 ** 31 - 1) ?? 0,
    problems: root.problems,
  };
}
