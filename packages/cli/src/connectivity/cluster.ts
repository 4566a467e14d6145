import type { Addresses, NodeFacts, NodePorts } from './case.ts';
import type { Outcome } from './verdict.ts';
import type { KubernetesObject } from './workload.ts';

/** What the test needs of a cluster; the real one is `kubernetes-cluster.ts`. */
export interface Cluster {
  readonly server: string;
  /** The nodes that are Ready, by name. */
  readyNodes(): Promise<NodeFacts[]>;
  /** Whose the namespace is: `ours` was made by this test, now or earlier. */
  namespaceState(name: string): Promise<'absent' | 'ours' | 'foreign' | 'ending'>;
  /** Creates what is not there, and makes anew what is not as wanted. `refused`: this cluster has no such thing. */
  ensure(object: KubernetesObject, signal: AbortSignal): Promise<'there' | 'refused'>;
  /** Deletes it without waiting for its end; what is not there, or not of this test, is left alone. */
  remove(object: KubernetesObject): Promise<void>;
  podState(namespace: string, name: string): Promise<PodState>;
  service(namespace: string, name: string): Promise<ServiceFacts>;
  /** How many ready endpoints the service's slices show. */
  readyEndpoints(namespace: string, service: string): Promise<number>;
  exec(target: ExecTarget, signal: AbortSignal): Promise<Outcome>;
}

export interface ServiceFacts {
  readonly addresses: Addresses;
  readonly nodePorts: NodePorts;
}

export interface ExecTarget {
  readonly namespace: string;
  readonly pod: string;
  /** Where it has several. */
  readonly container?: string;
  readonly command: readonly string[];
}

export interface PodState {
  readonly ready: boolean;
  readonly addresses: Addresses;
  /** Why it is not ready, as far as the pod tells. */
  readonly why: string;
}
