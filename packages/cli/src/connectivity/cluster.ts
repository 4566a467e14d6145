import type { Addresses } from './cases.ts';
import type { Outcome } from './verdict.ts';
import type { KubernetesObject } from './workload.ts';

/** What the test needs of a cluster; the real one is `kubernetes-cluster.ts`. */
export interface Cluster {
  readonly server: string;
  /** Names of the nodes that are Ready. */
  readyNodes(): Promise<string[]>;
  /** Creates what is not there; what is there already stays as it is. */
  ensure(object: KubernetesObject): Promise<void>;
  podState(namespace: string, name: string): Promise<PodState>;
  serviceAddresses(namespace: string, name: string): Promise<Addresses>;
  /** How many ready endpoints the service's slices show. */
  readyEndpoints(namespace: string, service: string): Promise<number>;
  exec(namespace: string, pod: string, command: readonly string[]): Promise<Outcome>;
  deleteNamespace(namespace: string): Promise<void>;
}

export interface PodState {
  readonly ready: boolean;
  readonly addresses: Addresses;
  /** Why it is not ready, as far as the pod tells. */
  readonly why: string;
}
