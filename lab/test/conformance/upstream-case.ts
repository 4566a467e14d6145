/** The nouns: a case of Kubernetes' own end-to-end tests, written anew on the lab, in every mode in which it could differ. */
import type { Cluster } from './cluster.ts';

/**
 * Where a packet is translated that comes by the network, and what the lab's values say for it below `loadBalancer`: each has
 * a lab of its own. XDP repeats for clients outside what TC has decided: they alone are asked there.
 */
export const hookValues = {
  tc: { values: '', clients: ['outside', 'socket', 'packet', 'node'] },
  xdp: { values: '  acceleration: native\n', clients: ['outside'] },
} as const satisfies Record<string, { readonly values: string; readonly clients: readonly ClientKind[] }>;
export const hooks = ['tc', 'xdp'] as const satisfies readonly Hook[];
/** `hybrid` is what the lab's values say; the others are annotations of the Service. */
export const forwardings = ['snat', 'dsr', 'hybrid'] as const;
export const algorithms = ['random', 'maglev'] as const;
export const families = [4, 6] as const;
export const protocols = ['tcp', 'udp'] as const;
/** `socket`: a pod's process; `packet`: a pod's own network stack, past the socket hooks; `node`: a process of a node. */
export const clients = ['outside', 'socket', 'packet', 'node'] as const;

export type Hook = keyof typeof hookValues;
export type Forwarding = (typeof forwardings)[number];
export type Algorithm = (typeof algorithms)[number];
export type Family = (typeof families)[number];
export type Protocol = (typeof protocols)[number];
export type ClientKind = (typeof clients)[number];

export interface Modes {
  readonly forwarding: readonly Forwarding[];
  readonly algorithm: readonly Algorithm[];
  readonly client: readonly ClientKind[];
  readonly protocol: readonly Protocol[];
  readonly family: readonly Family[];
}

export interface Mode {
  readonly forwarding: Forwarding;
  readonly algorithm: Algorithm;
  readonly client: ClientKind;
  readonly protocol: Protocol;
  readonly family: Family;
}

export const everyMode: Modes = {
  forwarding: forwardings,
  algorithm: algorithms,
  client: clients,
  protocol: protocols,
  family: families,
};

export interface UpstreamCase {
  /** As Kubernetes' e2e.test names them, without `[sig-network]` and without labels. */
  readonly upstream: readonly string[];
  /** What is tried here, and what must come of it. */
  readonly sentence: string;
  readonly modes: Modes;
  /** Goes through all of its modes. */
  readonly run: (cluster: Cluster, modes: readonly Mode[]) => Promise<void>;
}

/** Of those that a case applies to: all that differ at this hook. */
export function modesAt(hook: Hook, { client, ...modes }: Modes): Modes {
  const there: readonly ClientKind[] = hookValues[hook].clients;
  return { ...modes, client: client.filter((each) => there.includes(each)) };
}

export function combinations(modes: Modes): Mode[] {
  return modes.forwarding.flatMap((forwarding) =>
    modes.algorithm.flatMap((algorithm) =>
      modes.client.flatMap((client) =>
        modes.protocol.flatMap((protocol) =>
          modes.family.map((family): Mode => ({ forwarding, algorithm, client, protocol, family })),
        ),
      ),
    ),
  );
}
