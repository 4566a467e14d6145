import type { Kubernetes } from './kubernetes.ts';
import type { StatusReport } from './report.ts';

/** How we stand with the API server. A kind that it does not have is off, and nothing suffers by that. */
export function kubernetesReport(kubernetes: Kubernetes, version: string | undefined): StatusReport['kubernetes'] {
  const watches = kubernetes.reflectors.map(({ kind, reflector, size }) => {
    const { synced, absent, lastError } = reflector.status();
    return { kind, synced, absent, objects: size(), lastError };
  });
  const failing = watches.find((watch) => watch.lastError !== undefined);
  const servers = kubernetes.client.servers();
  return {
    state: failing || watches.some((watch) => !watch.synced && !watch.absent) ? 'degraded' : 'ok',
    server: servers.find((server) => server.current)?.url ?? servers[0]?.url ?? '',
    version,
    clockAheadMs: kubernetes.client.clockAheadMs,
    lastError: failing?.lastError,
    watches: watches.map(({ kind, synced, absent, objects, lastError }) => ({
      kind,
      synced,
      objects,
      lastError,
      off: absent ? 'this server does not have the kind' : undefined,
    })),
  };
}
