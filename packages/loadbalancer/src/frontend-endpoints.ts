/** All endpoints of a frontend's service as that frontend sees them: why one is not used is looked up when somebody asks. */
import type { EndpointSliceObject, ServiceObject } from '@sluice/kube';
import type { ReadableTable } from '@sluice/state';
import type { FrontendRow } from './load-balancer.ts';
import { type SeenEndpoint, seenEndpoints } from './unused.ts';
import { type WithdrawnPods, withoutWithdrawn } from './withdrawn.ts';

export interface EndpointSources {
  readonly services: Pick<ReadableTable<ServiceObject>, 'get'>;
  /** With an index `service`. */
  readonly endpointSlices: { by(index: 'service', key: string): readonly EndpointSliceObject[] };
  readonly withdrawn?: WithdrawnPods;
  readonly nodeName: string | undefined;
}

/** None of a frontend that is not served, or that no Service asks for. */
export function frontendEndpoints(row: FrontendRow, sources: EndpointSources): SeenEndpoint[] {
  const { key, service: name, portName, state, policy, backends } = row;
  const [, bracket, protocol] = /^(\[?)[^ ]+:\d+\/(TCP|UDP)(?:\/external)?$/.exec(key) ?? [];
  const port = sources.services.get(name)?.ports.find((each) => each.name === portName && each.protocol === protocol);
  if (port === undefined || state === 'off') return [];
  const slices = withoutWithdrawn(sources.endpointSlices.by('service', name), sources.withdrawn);
  const { nodeName } = sources;
  return seenEndpoints({ port, family: bracket === '' ? 4 : 6, slices }, { policy, backends, nodeName });
}
