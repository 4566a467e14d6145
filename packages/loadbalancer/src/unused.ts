/** Why an endpoint of a service is no backend of one of its frontends: reasons for a choice that `candidates.ts` has made. */
import type { EndpointSliceObject, ServicePort, SliceEndpoint, TrafficPolicy } from '@sluice/kube';
import { type Candidate, candidates, isSamePort, offersOf, usability } from './candidates.ts';
import type { DesiredBackend } from './frontend.ts';

export interface ChosenBackends {
  readonly policy: TrafficPolicy;
  readonly backends: readonly Pick<DesiredBackend, 'key'>[];
  readonly nodeName: string | undefined;
}

const reasons = [
  'not ready',
  'terminating',
  'on another node',
  'kept for others by hints',
  'also in another slice',
  'without this port',
  'without an IPv4 address',
  'without an IPv6 address',
] as const;
export type WhyUnused = (typeof reasons)[number];

/** Of those that offer the port; undefined: all are used. */
export function unusedText(all: readonly Candidate[], chosen: ChosenBackends): string | undefined {
  if (all.length === chosen.backends.length) return undefined;
  const used = new Set(chosen.backends.map(({ key }) => key));
  return reasonsText(
    all.filter(({ backend }) => !used.has(backend.key)).map((candidate) => whyUnused(candidate, chosen)),
  );
}

/** `1 not ready, 2 on another node` */
export function reasonsText(why: readonly WhyUnused[]): string {
  return reasons
    .map((reason) => [why.filter((each) => each === reason).length, reason] as const)
    .filter(([count]) => count > 0)
    .map(([count, reason]) => `${count} ${reason}`)
    .join(', ');
}

/** An endpoint as one frontend sees it. */
export interface SeenEndpoint {
  /** Of its backend; one that would be none has its address alone. */
  readonly key: string;
  readonly pod: string | undefined;
  readonly nodeName: string | undefined;
  readonly zone: string | undefined;
  readonly state: 'ready' | 'terminating' | 'not ready';
  readonly hints: readonly string[];
  /** Undefined: it is a backend. */
  readonly why: WhyUnused | undefined;
}

/** Those that offer the port, then those that do not, or not here. */
export function seenEndpoints(offered: Offered, chosen: ChosenBackends): SeenEndpoint[] {
  const { port, family, slices } = offered;
  const used = new Set(chosen.backends.map(({ key }) => key));
  const all = candidates(port, family, slices);
  return [
    ...all.map((candidate) => {
      const { backend, endpoint } = candidate;
      return seen(backend.key, endpoint, used.has(backend.key) ? undefined : whyUnused(candidate, chosen));
    }),
    ...repeated(offered, all),
    ...strangers(offered, all),
  ];
}

function seen(key: string, endpoint: SliceEndpoint, why: WhyUnused | undefined): SeenEndpoint {
  return {
    key,
    pod: podOf(endpoint),
    nodeName: endpoint.nodeName,
    zone: endpoint.zone,
    state: states[usability(endpoint)],
    hints: [...endpoint.nodeHints, ...endpoint.zoneHints],
    why,
  };
}

function podOf({ pod }: SliceEndpoint): string | undefined {
  return pod && `${pod.namespace}/${pod.name}`;
}

/** An address that another slice has in a better state, or as good. */
function repeated({ port, family, slices }: Offered, all: readonly Candidate[]): SeenEndpoint[] {
  const offers = offersOf(port, family, slices).flat();
  if (offers.length === all.length) return [];
  const taken = new Set(all.map(({ endpoint }) => endpoint));
  return offers
    .filter(({ endpoint }) => !taken.has(endpoint))
    .map(({ backend, endpoint }) => seen(backend.key, endpoint, 'also in another slice'));
}

/** Whose slices have not this port, and pods that have no address of this family. */
function strangers({ port, family, slices }: Offered, all: readonly Candidate[]): SeenEndpoint[] {
  const addresses = new Set(all.map(({ backend }) => backend.address));
  const pods = new Set(all.map(({ endpoint }) => podOf(endpoint)));
  const found = new Map<string, SeenEndpoint>();
  for (const { addressType, endpoints, ports } of slices) {
    const isOurs = addressType === `IPv${family}`;
    if (isOurs && ports.some((offered) => isSamePort(offered, port))) continue;
    for (const endpoint of endpoints) {
      const [address] = endpoint.addresses;
      if (address === undefined || addresses.has(address) || found.has(address)) continue;
      // One without a pod may be any of those of this family.
      if (!isOurs && (endpoint.pod === undefined ? all.length > 0 : pods.has(podOf(endpoint)))) continue;
      found.set(address, seen(address, endpoint, isOurs ? 'without this port' : `without an IPv${family} address`));
    }
  }
  return [...found.values()];
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
