import { FrontendFlag, type ServiceRow } from '@sluice/datapath';
import type { ServiceObject } from '@sluice/kube';
import type { FrontendRow } from '@sluice/loadbalancer';
import { familyOf, formatAddressPort, type Prefix, parsePrefix } from '@sluice/net';
import type { ServicePlaceBackend, ServicePlaceReport } from '../report.ts';
import { numberOf } from './question.ts';
import { type ServiceClient, strangerOf } from './service-clients.ts';
import { askedAddress, type ServicePlace } from './service-places.ts';
import type { ExplainSources } from './sources.ts';

export interface AskedPlace {
  readonly service: ServiceObject;
  readonly place: ServicePlace;
  readonly client: ServiceClient;
  readonly sources: ExplainSources;
}

type Step = ServicePlaceReport['steps'][number];
type Ended = Pick<ServicePlaceReport, 'verdict' | 'summary'>;

/** What one client gets at one place: asked of the programs, with the reasons that stand in the tables. */
export function placeReport(asked: AskedPlace): ServicePlaceReport {
  const { place, client, sources } = asked;
  const { key, type, portName } = place;
  const common = { frontend: key, type, portName, client: clientName(asked) };
  const address = askedAddress(place, sources);
  const own = clientAddress(asked);
  const unasked = whyUnasked(asked, { hasAddress: address !== undefined, hasOwn: own !== undefined });
  if (unasked !== undefined || address === undefined || own === undefined)
    return { ...common, steps: [], backends: [], verdict: 'not asked', summary: unasked ?? '' };
  const row = sources.dryRun.service({
    ...{ address, port: place.port, protocol: numberOf(place.protocol), client: own },
    ...{ clientPort: sources.anyPort(), kind: client.kind },
  });
  if (row === undefined) return { ...common, steps: [], backends: [], ...unknown(asked) };
  const desired = place.rows[row.scope];
  const backends = backendsOf(row, desired, sources);
  const steps = stepsOf({ ...asked, row, desired, backends });
  return { ...common, steps, backends, ...endOf(row, backends, asked) };
}

/** Anybody outside is one of those that are let in, where only some are. */
function clientAddress(asked: AskedPlace) {
  const family = familyOf(asked.place.address);
  const ranges = rangesOf(asked);
  return ranges === undefined ? asked.client.address(family) : strangerOf(family, ranges);
}

function clientName(asked: AskedPlace): string {
  const { name } = asked.client;
  return rangesOf(asked)?.length ? `${name}, of the source ranges` : name;
}

/** Of the place's family, where anybody outside asks and only some are let in. */
function rangesOf({ place, client }: AskedPlace): Prefix[] | undefined {
  const ranges = place.rows[place.rows.external ? 'external' : 'internal']?.sourceRanges;
  if (!client.isAnybody || ranges === undefined) return undefined;
  const family = familyOf(place.address);
  return ranges.map((range) => parsePrefix(range)).filter(({ address }) => familyOf(address) === family);
}

/** Undefined: the programs of this node know. */
function whyUnasked(
  { place, client }: AskedPlace,
  { hasAddress, hasOwn }: { readonly hasAddress: boolean; readonly hasOwn: boolean },
): string | undefined {
  const family = familyOf(place.address);
  if (!hasOwn) return `${client.name} has no IPv${family} address`;
  if (client.ownNode !== undefined && place.type !== 'NodePort' && place.type !== 'HostPort')
    return `${client.ownNode} serves its own clients there: ask its agent (--from host)`;
  return hasAddress ? undefined : `no IPv${family} address of this node has NodePorts (nodePort.addresses)`;
}

/** There is no row for this client: nothing is translated. */
function unknown({ place, client }: AskedPlace): Ended {
  const { internal, external } = place.rows;
  const reason = (internal ?? external)?.reason;
  if (reason !== undefined) return { verdict: 'not served', summary: reason };
  if (client.kind === 'outside' && place.type === 'ClusterIP')
    return {
      verdict: 'not served',
      summary: 'a cluster address is for clients inside: who comes by the network is led to nobody',
    };
  if (client.kind !== 'node' && (internal ?? external)?.key.match(/^(127\.|\[::1\])/))
    return {
      verdict: 'not served',
      summary: 'a loopback address means whoever asks: here it is for processes of the node',
    };
  return { verdict: 'not served', summary: 'the kernel has no row for this client (yet)' };
}

/** The kernel's rows: what is there, whatever should be. */
function backendsOf(row: ServiceRow, desired: FrontendRow | undefined, sources: ExplainSources): ServicePlaceBackend[] {
  if (row.result !== 'backend') return [];
  return sources.backendsOf(row).map(({ address, port, protocol, state }) => {
    const key = `${formatAddressPort(address, port)}/${protocol}`;
    const known = desired?.backends.find((backend) => backend.key === key);
    return { backend: key, pod: sources.nameOf(address), node: known?.nodeName, zone: known?.zone, state };
  });
}

interface ToldPlace extends AskedPlace {
  readonly row: ServiceRow;
  readonly desired: FrontendRow | undefined;
  readonly backends: readonly ServicePlaceBackend[];
}

function stepsOf(told: ToldPlace): Step[] {
  return [
    { step: 'clients', text: scopeText(told) },
    { step: 'policy', text: policyText(told) },
    ...rangesStep(told),
    ...endpointSteps(told),
    ...affinityStep(told),
    ...choiceSteps(told),
  ];
}

function scopeText({ row: { scope }, place, client }: ToldPlace): string {
  if (scope === 'external')
    return 'the row for clients outside, who have one of their own with externalTrafficPolicy Local';
  if (place.type === 'ClusterIP') return 'the row for clients inside, the only ones that a cluster address serves';
  if (place.rows.external === undefined) return 'one row for clients inside and outside';
  return `the row for clients inside: ${client.kind === 'pod' ? 'a pod' : 'the node'} is one of them`;
}

function policyText({ row: { scope }, service, place }: ToldPlace): string {
  if (place.type === 'HostPort') return 'a host port leads to one pod of this node';
  const { internalTrafficPolicy, externalTrafficPolicy } = service;
  const policy = place.type === 'ClusterIP' ? internalTrafficPolicy : scope === 'external' ? 'Local' : 'Cluster';
  const whose = policy === 'Local' ? 'endpoints of this node alone' : 'endpoints of all nodes';
  if (place.type === 'ClusterIP') return `internalTrafficPolicy ${policy}: ${whose}`;
  if (scope === 'internal' && externalTrafficPolicy === 'Local')
    return `${whose}: externalTrafficPolicy Local is for clients outside`;
  return `externalTrafficPolicy ${policy}: ${whose}`;
}

function rangesStep({ row, desired, client }: ToldPlace): Step[] {
  if ((row.flags & FrontendFlag.SourceRanges) === 0) return [];
  const ranges = desired?.sourceRanges?.join(', ') || 'nobody of this family';
  const how = client.kind === 'node' ? 'a node is judged by the addresses of its Node object' : undefined;
  const who = client.isAnybody
    ? 'who is not of them hears nothing'
    : row.result === 'not allowed'
      ? 'not him'
      : 'him, too';
  const text = [`loadBalancerSourceRanges let in ${ranges}: ${who}`, ...(how ? [how] : [])].join('; ');
  return [{ step: 'ranges', text }];
}

function endpointSteps({ desired, backends, service }: ToldPlace): Step[] {
  const isFallback = backends.length > 0 && backends.every(({ state }) => state === 'terminating');
  const isHinted = desired?.unused?.includes('hints') ?? false;
  const { trafficDistribution, publishNotReadyAddresses } = service;
  return [
    ...(isFallback
      ? [{ step: 'fallback', text: 'none of these is ready: those that terminate and still serve are used (KEP-1669)' }]
      : []),
    ...(isHinted ? [{ step: 'hints', text: 'hints of the EndpointSlices keep others for other nodes or zones' }] : []),
    ...(!isHinted && trafficDistribution !== undefined
      ? [
          {
            step: 'hints',
            text: `trafficDistribution ${trafficDistribution} asks for the nearest, and no hint keeps anybody out`,
          },
        ]
      : []),
    ...(publishNotReadyAddresses
      ? [{ step: 'ready', text: 'publishNotReadyAddresses: all endpoints count as ready' }]
      : []),
    ...(desired?.unused === undefined ? [] : [{ step: 'not used', text: desired.unused }]),
  ];
}

function affinityStep({ row, client }: ToldPlace): Step[] {
  if (row.affinitySeconds === 0 || row.result !== 'backend') return [];
  const text =
    row.isByAffinity && row.backend
      ? `ClientIP: ${formatAddressPort(row.backend.address, row.backend.port)} is kept for ${client.name}`
      : `ClientIP: the first that is chosen is kept for ${row.affinitySeconds} s after the last connection`;
  return [{ step: 'affinity', text }];
}

function choiceSteps({ row, desired, client, backends, sources }: ToldPlace): Step[] {
  if (row.result !== 'backend') return [];
  const isOutside = client.kind === 'outside';
  const isFar = backends.some(({ node }) => node !== sources.nodeName);
  const how =
    row.backendCount === 1
      ? 'the only backend'
      : isOutside && row.maglevSize > 0
        ? `by a Maglev table of ${row.maglevSize} entries, the same on every node`
        : 'at random';
  const why = isOutside && desired?.whyRandom ? `, as Maglev is not possible: ${desired.whyRandom}` : '';
  const forwarding =
    (row.flags & FrontendFlag.Dsr) !== 0
      ? 'dsr: a backend of another node answers the client itself, who is seen with his own address'
      : 'snat: to a backend of another node the client is this node, whose answers come back here';
  return [
    { step: 'choice', text: `${how}${why}` },
    ...(isOutside && isFar ? [{ step: 'mode', text: forwarding }] : []),
  ];
}

function endOf(row: ServiceRow, backends: readonly ServicePlaceBackend[], { place, client }: AskedPlace): Ended {
  if (row.result === 'backend') {
    const kept = row.isByAffinity ? ', by affinity always the same' : '';
    return { verdict: 'served', summary: `${count(backends.length)}${kept}` };
  }
  if (row.result === 'not allowed')
    return {
      verdict: 'dropped',
      summary:
        client.kind === 'node' ? 'not of the source ranges: EPERM' : 'not of the source ranges: nothing is answered',
    };
  if (row.result === 'no local backend')
    return { verdict: 'dropped', summary: 'no endpoint on this node, and the policy is Local: nothing is answered' };
  const inside = place.protocol === 'TCP' ? 'connect() fails with ECONNREFUSED' : 'datagrams are answered by ICMP';
  const outside = place.protocol === 'TCP' ? 'a reset' : 'ICMP port unreachable';
  return { verdict: 'refused', summary: `no backend: ${client.kind === 'outside' ? outside : inside}` };
}

const count = (backends: number): string => (backends === 1 ? '1 backend' : `${backends} backends`);
