import { createHash } from 'node:crypto';
import type { KubernetesObject, Store } from '../apiserver/index.ts';
import { nowText } from './objects.ts';

export interface EventText {
  type?: 'Normal' | 'Warning';
  reason: string;
  message: string;
}

/** Records what happened to an object; the same again only counts. An event that cannot be written is not worth a failure. */
export function recordEvent(
  store: Store,
  component: string,
  object: KubernetesObject,
  { type = 'Normal', reason, message }: EventText,
): void {
  const { apiVersion, kind, metadata } = object;
  const { name, uid, resourceVersion } = metadata;
  const namespace = metadata.namespace ?? 'default';
  const digest = createHash('sha256')
    .update([uid, component, type, reason, message].join('\n'))
    .digest('hex')
    .slice(0, 16);
  const eventName = `${name}.${digest}`;
  const now = nowText();
  try {
    const counted = store.modify('events', { namespace, name: eventName }, (event) => {
      event.count = (event.count ?? 1) + 1;
      event.lastTimestamp = now;
    });
    if (counted) return;
    store.create('events', {
      metadata: { name: eventName, namespace },
      involvedObject: { apiVersion, kind, name, uid, resourceVersion, ...(metadata.namespace && { namespace }) },
      type,
      reason,
      message,
      count: 1,
      firstTimestamp: now,
      lastTimestamp: now,
      source: { component },
      reportingComponent: component,
      reportingInstance: '',
    });
  } catch {
    // The namespace is going away, and its events with it.
  }
}

const eventMs = { keep: 3_600_000, sweep: 60_000 };

/** Events are kept for an hour. */
export function startEventExpiry(store: Store): Disposable {
  const timer = setInterval(() => {
    const oldest = Date.now() - eventMs.keep;
    for (const event of store.list('events')) {
      const last = Date.parse(event.lastTimestamp ?? event.metadata.creationTimestamp);
      if (last < oldest) store.delete('events', event.metadata);
    }
  }, eventMs.sweep);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
