import { randomBytes } from 'node:crypto';
import type { Pod, Store } from '../apiserver/index.ts';

/** Writes pod events as `kubectl describe` shows them; the same one again only counts up. */
export function podEvents(store: Store, nodeName: string) {
  // Bounded by forgetting all of them: then a repetition is a new event, which is right, too.
  const known = new Map<string, string>();
  const knownMax = 1_000;
  return (pod: Pod, type: 'Normal' | 'Warning', reason: string, message: string): void => {
    const { name, namespace = 'default', uid } = pod.metadata;
    const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
    const key = `${uid} ${reason} ${message}`;
    const before = known.get(key);
    const counted =
      before &&
      store.modify('events', { name: before, namespace }, (draft) => {
        draft.count = (draft.count ?? 1) + 1;
        draft.lastTimestamp = now;
      });
    if (counted) return;
    if (known.size >= knownMax) known.clear();
    const eventName = `${name}.${randomBytes(8).toString('hex')}`;
    try {
      store.create('events', {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name: eventName, namespace },
        involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace, name, uid },
        type,
        reason,
        message,
        count: 1,
        firstTimestamp: now,
        lastTimestamp: now,
        source: { component: 'kubelet', host: nodeName },
        reportingComponent: 'kubelet',
        reportingInstance: nodeName,
      });
      known.set(key, eventName);
    } catch {
      // A namespace that is going away takes no new objects, and nobody misses the event.
    }
  };
}
