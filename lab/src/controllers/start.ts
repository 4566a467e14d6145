import type { Store } from '../apiserver/index.ts';
import { startDaemonSetController } from './daemon-sets.ts';
import { startDeploymentController } from './deployments.ts';
import { startEndpointSliceController } from './endpoint-slices.ts';
import { startEventExpiry } from './events.ts';
import { startGarbageCollector } from './garbage.ts';
import { ensureKubernetesService } from './kubernetes-service.ts';
import { stopAll } from './loop.ts';
import { startNamespaceController } from './namespaces.ts';
import { startNodeMonitor } from './node-monitor.ts';
import { startReplicaSetController } from './replica-sets.ts';
import { startScheduler } from './scheduler.ts';

export interface ControllerOptions {
  /** Where the API server answers, for `default/kubernetes`. */
  apiServer: { address: string; port: number; clusterIp?: string };
  /** A node whose lease was not renewed for so long is unknown. Default 40 s. */
  nodeGraceMs?: number;
  log?: (message: string) => void;
}

/** Starts all of them; dispose of the answer to stop them. */
export function startControllers(store: Store, options: ControllerOptions): Disposable {
  const log = options.log ?? (() => undefined);
  ensureKubernetesService(store, options.apiServer);
  return stopAll([
    startNamespaceController(store, log),
    startGarbageCollector(store, log),
    startNodeMonitor(store, log, { graceMs: options.nodeGraceMs }),
    startScheduler(store, log),
    startReplicaSetController(store, log),
    startDeploymentController(store, log),
    startDaemonSetController(store, log),
    startEndpointSliceController(store, log),
    startEventExpiry(store),
  ]);
}
