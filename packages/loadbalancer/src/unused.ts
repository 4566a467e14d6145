/** Why an endpoint of a service is no backend of one of its frontends: reasons for a choice that `candidates.ts` has made. */
import type { EndpointSliceObject, ServicePort, TrafficPolicy } from '@sluice/kube';
import type { Candidate } from './candidates.ts';
import { candidates } from './candidates.ts';
import type { DesiredBackend } from './frontend.ts';

export interface ChosenBackends {
  readonly policy: TrafficPolicy;
  readonly backends: readonly Pick<DesiredBackend, 'key'>[];
  readonly nodeName: string | undefined;
}

const reasons = ['not ready', 'terminating', 'on another node', 'kept for others by hints'] as const;
export type WhyUnused = (typeof reasons)[number];

/** `1 not ready, 2 on another node`; undefined: all are used. */
export function unusedText(all: readonly Candidate[], chosen: ChosenBackends): string | undefined {
  if (all.length === chosen.backends.length) return undefined;
  const used = new Set(chosen.backends.map(({ key }) => key));
  const why = all.filter(({ backend }) => !used.has(backend.key)).map((candidate) => whyUnused(candidate, chosen));
  return reasons
    .map((reason) => [why.filter((each) => each === reason).length, reason] as const)
    .filter(([count]) => count > 0)
    .map(([count, reason]) => `${count} ${reason}`)
    .join(', ');
}

/** An endpoint as one frontend sees it. */
export interface SeenEndpoint {
  readonly key: string;
  readonly pod: string | undefined;
  readonly nodeName: string | undefined;
  readonly zone: string | undefined;
  readonly state: 'ready' | 'terminating' | 'not ready';
  readonly hints: readonly string[];
  /** Undefined: it is a backend. */
  readonly why: WhyUnused | undefined;
}

export function seenEndpoints({ port, family, slices }: Offered, chosen: ChosenBackends): SeenEndpoint[] {
  const used = new Set(chosen.backends.map(({ key }) => key));
  return candidates(port, family, slices).map((candidate) => {
    const { backend, endpoint, usable } = candidate;
    return {
      key: backend.key,
      pod: endpoint.pod && `${endpoint.pod.namespace}/${endpoint.pod.name}`,
      nodeName: endpoint.nodeName,
      zone: endpoint.zone,
      state: states[usable],
      hints: [...endpoint.nodeHints, ...endpoint.zoneHints],
      why: used.has(backend.key) ? undefined : whyUnused(candidate, chosen),
    };
  });
}

interface Offered {
  readonly port: ServicePort;
  readonly family: 4 | 6;
  readonly slices: readonly EndpointSliceObject[];
}

const states = { ready: 'ready', fallback: 'terminating', no: 'not ready' } as const;

/** Of one that is not among the backends. What keeps it out first comes first. */
function whyUnused({ usable, endpoint }: Candidate, chosen: ChosenBackends): WhyUnused {
  if (usable === 'no') return 'not ready';
  if (chosen.policy === 'Local' && endpoint.nodeName !== chosen.nodeName) return 'on another node';
  return usable === 'fallback' ? 'terminating' : 'kept for others by hints';
}
