import type { Pod, Store } from '../apiserver/index.ts';
import { nowText } from './objects.ts';

/** Stands in for kubelets in tests: pods with a node run and are ready at once, deleted ones are gone. */
export function startFakeKubelet(store: Store, nodes: readonly string[]): Disposable {
  for (const name of nodes) {
    if (store.get('nodes', name)) continue;
    const address = `10.10.30.${101 + nodes.indexOf(name)}`;
    store.create('nodes', {
      metadata: { name, labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux' } },
      status: {
        conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: nowText() }],
        addresses: [{ type: 'InternalIP', address }],
      },
    });
  }
  let started = 0;
  return store.watch('pods', ({ type, object }) => {
    if (type === 'DELETED' || !object.spec.nodeName) return;
    if (object.metadata.deletionTimestamp) store.delete('pods', object.metadata, { gracePeriodSeconds: 0 });
    else if (object.status.phase === 'Pending') run(store, object, ++started);
  });
}

function run(store: Store, pod: Pod, number: number): void {
  const ips = [`10.244.${number >> 8}.${number & 255}`, `fd00:10:244::${number.toString(16)}`];
  store.modify(
    'pods',
    pod.metadata,
    (draft) => {
      draft.status = {
        ...draft.status,
        phase: 'Running',
        podIP: ips[0] ?? '',
        podIPs: ips.map((ip) => ({ ip })),
        conditions: [
          ...(draft.status.conditions ?? []),
          { type: 'Ready', status: 'True', lastTransitionTime: nowText() },
        ],
        containerStatuses: pod.spec.containers.map(({ name, image }) => ({
          name,
          image,
          imageID: image,
          ready: true,
          restartCount: 0,
          state: { running: { startedAt: nowText() } },
        })),
      };
    },
    { subresource: 'status' },
  );
}
