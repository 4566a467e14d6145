import { objectKey, type ServiceObject } from '@sluice/kube';
import type { SeenEndpoint } from '@sluice/loadbalancer';
import { formatPrefix } from '@sluice/net';
import type { ServiceEndpointReport, ServiceExplainReport } from '../report.ts';
import { type ServiceClient, serviceClients } from './service-clients.ts';
import { type ServicePlace, servicePlaces, whyNoPlace } from './service-places.ts';
import { isPort, type ServiceQuestion } from './service-question.ts';
import { placeReport } from './service-verdict.ts';
import type { ExplainSources } from './sources.ts';

/** Asks the programs of this node what clients of a service get. Throws QueryError for who is not here. */
export function explainService(question: ServiceQuestion, sources: ExplainSources): ServiceExplainReport {
  const { service } = question;
  const clients = serviceClients(question.from, sources);
  const { served, unserved } = servicePlaces(objectKey(service), sources);
  const isAsked = isOfPort(question);
  const places = served.filter(({ portName }) => isAsked(portName));
  const reports = places.flatMap((place) => clients.map((client) => placeReport({ service, place, client, sources })));
  return {
    service: objectKey(service),
    node: sources.nodeName,
    zone: sources.zone(),
    from: question.from === undefined ? undefined : clients[0]?.name,
    about: about(service),
    why: served.length + unserved.length > 0 ? undefined : whyNoPlace(service, sources),
    places: reports,
    unserved: unserved.filter(({ portName }) => isAsked(portName)),
    endpoints: endpoints(places, { sources, clients }),
    isServed: reports.some(({ verdict }) => verdict === 'served'),
  };
}

function isOfPort({ service, port }: ServiceQuestion): (portName: string) => boolean {
  if (port === undefined) return () => true;
  const names = new Set(service.ports.filter((each) => isPort(each, port)).map(({ name }) => name));
  return (portName) => names.has(portName);
}

/** What the object says, where it decides who gets what. */
function about(service: ServiceObject): ServiceExplainReport['about'] {
  const { type, ports, affinityTimeoutSeconds, internalTrafficPolicy, externalTrafficPolicy } = service;
  // Nothing else of it is anybody's concern.
  if (type === 'ExternalName') return [{ step: 'type', text: `${type} of ${service.externalName ?? 'nothing'}` }];
  const said: [string, string | undefined][] = [
    ['type', type],
    ['ports', ports.map((each) => `${each.name && `${each.name} `}${each.port}/${each.protocol}`).join(', ')],
    ['internal', `internalTrafficPolicy ${internalTrafficPolicy}`],
    [
      'external',
      type === 'ClusterIP' && service.externalIps.length === 0
        ? undefined
        : `externalTrafficPolicy ${externalTrafficPolicy}`,
    ],
    ['balancer', balancerText(service)],
    ['ranges', rangesText(service)],
    ['health', healthText(service)],
    ['affinity', affinityTimeoutSeconds === undefined ? 'none' : `ClientIP, ${affinityTimeoutSeconds} s`],
    ['distribution', service.trafficDistribution],
    ['algorithm', service.algorithm && `${service.algorithm} (annotation)`],
    ['mode', service.forwardingMode && `${service.forwardingMode} (annotation)`],
    ...service.problems.map((problem): [string, string] => ['not used', problem]),
  ];
  return said.flatMap(([name, text]) => (text === undefined ? [] : [{ step: name, text }]));
}

/** Nobody answers for what is only asked for. */
function balancerText({ type, loadBalancerIngress, loadBalancerClass }: ServiceObject): string | undefined {
  if (type !== 'LoadBalancer') return undefined;
  if (loadBalancerIngress.length > 0) return loadBalancerIngress.map(({ address }) => address).join(', ');
  const whose = loadBalancerClass === undefined ? '' : ` (its class is ${loadBalancerClass})`;
  return `has no address: no controller has given it one in status.loadBalancer${whose}`;
}

function rangesText({ type, loadBalancerSourceRanges }: ServiceObject): string | undefined {
  if (type !== 'LoadBalancer' || loadBalancerSourceRanges === undefined) return undefined;
  return `loadBalancerSourceRanges ${loadBalancerSourceRanges.map(formatPrefix).join(', ')}: nobody else comes in at the balancer's addresses`;
}

function healthText({ healthCheckNodePort }: ServiceObject): string | undefined {
  if (healthCheckNodePort === undefined) return undefined;
  return `healthCheckNodePort ${healthCheckNodePort}: "sluice table health-checks" shows what it answers`;
}

interface Looked {
  readonly sources: ExplainSources;
  readonly clients: readonly ServiceClient[];
}

/** Each once, with the places where it is not used. */
function endpoints(places: readonly ServicePlace[], { sources, clients }: Looked): ServiceEndpointReport[] {
  const byKey = new Map<
    string,
    { seen: SeenEndpoint; portName: string; unused: { frontend: string; why: string }[] }
  >();
  for (const place of places) {
    for (const row of rowsOf(place, clients)) {
      for (const seen of sources.endpointsOf(row)) {
        const isRepeated = seen.why === 'also in another slice';
        const key = `${place.portName} ${seen.key} ${isRepeated}`;
        const known = byKey.get(key) ?? { seen, portName: place.portName, unused: [] };
        if (seen.why !== undefined) known.unused.push({ frontend: row.key, why: seen.why });
        byKey.set(key, known);
      }
    }
  }
  return [...byKey.values()].map(({ seen: { key, pod, nodeName, zone, state, hints }, portName, unused }) => ({
    ...{ endpoint: key, portName, pod, node: nodeName, zone, state, hints, unused },
  }));
}

/** Those that one of the clients has. */
function rowsOf({ rows: { internal, external } }: ServicePlace, clients: readonly ServiceClient[]) {
  const isAsked = (isOutside: boolean) => clients.some(({ kind }) => (kind === 'outside') === isOutside);
  return [
    ...(internal !== undefined && (external === undefined || isAsked(false)) ? [internal] : []),
    ...(external !== undefined && isAsked(true) ? [external] : []),
  ];
}
