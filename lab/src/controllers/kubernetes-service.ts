import { familyOf, parseAddress } from '@sluice/net';
import type { Store } from '../apiserver/index.ts';

/** The service `default/kubernetes` and its slice, which say where the API server is. It takes the first service address. */
export function ensureKubernetesService(
  store: Store,
  { address, port, clusterIp = '10.96.0.1' }: { address: string; port: number; clusterIp?: string | undefined },
): void {
  const labels = { component: 'apiserver', provider: 'kubernetes' };
  if (!store.get('services', 'kubernetes', 'default')) {
    store.create('services', {
      metadata: { name: 'kubernetes', namespace: 'default', labels },
      spec: {
        type: 'ClusterIP',
        clusterIP: clusterIp,
        ports: [{ name: 'https', port: 443, protocol: 'TCP', targetPort: port }],
      },
    });
  }
  const slices = 'endpointslices.discovery.k8s.io';
  const slice = {
    metadata: { name: 'kubernetes', namespace: 'default', labels: { 'kubernetes.io/service-name': 'kubernetes' } },
    addressType: familyOf(parseAddress(address)) === 4 ? 'IPv4' : 'IPv6',
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
    ports: [{ name: 'https', port, protocol: 'TCP' }],
  };
  if (store.get(slices, 'kubernetes', 'default')) store.update(slices, slice);
  else store.create(slices, slice);
}
