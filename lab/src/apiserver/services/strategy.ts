import { isDeepStrictEqual } from 'node:util';
import { FieldErrors } from '../field-errors.ts';
import type { Service } from '../kinds/types.ts';
import { serviceNameProblem } from '../names.ts';
import type { Resource, Strategy } from '../resources.ts';
import { assignAddresses, keepAddresses } from './addresses.ts';
import type { Allocations } from './allocations.ts';
import { assignNodePorts } from './node-ports.ts';
import { validateService } from './validate.ts';

/** Services get their addresses and node ports while they are written, so the answer of a create already has them. */
export function serviceStrategy(
  allocations: Allocations,
  subject: Pick<Resource, 'group' | 'plural' | 'kind'>,
): Strategy {
  return {
    nameProblem: serviceNameProblem,
    selectable: (object) => {
      const { spec } = object as Partial<Service>;
      return { 'spec.clusterIP': spec?.clusterIP ?? '', 'spec.type': spec?.type ?? '' };
    },
    complete: (object, oldObject) => {
      const service = object as Service;
      const old = oldObject as Service | undefined;
      completeService(service, old);
      if (old && old.spec.type !== 'ExternalName' && service.spec.type !== 'ExternalName')
        keepAddresses(service.spec, old.spec);
      const errors = new FieldErrors();
      validateService(service, errors, old);
      assignAddresses(service, { old, allocations, errors });
      assignNodePorts(service, { old, allocations, errors });
      errors.throwIfAny(subject, service.metadata.name);
    },
  };
}

function completeService(service: Service, old: Service | undefined): void {
  service.spec ??= {};
  const { spec } = service;
  service.status = { loadBalancer: {}, ...service.status };
  spec.type ??= 'ClusterIP';
  spec.sessionAffinity ??= 'None';
  if (spec.sessionAffinity === 'ClientIP') spec.sessionAffinityConfig ??= { clientIP: { timeoutSeconds: 10_800 } };
  else delete spec.sessionAffinityConfig;
  for (const port of spec.ports ?? []) {
    port.protocol ??= 'TCP';
    port.targetPort ??= port.port;
  }
  if (spec.type === 'ExternalName') return;
  spec.internalTrafficPolicy ??= 'Cluster';
  if (spec.type === 'ClusterIP') {
    const wasExternal =
      old &&
      old.spec.type !== 'ClusterIP' &&
      isDeepStrictEqual(old.spec.externalTrafficPolicy, spec.externalTrafficPolicy);
    if (wasExternal) delete spec.externalTrafficPolicy;
    if ((spec.externalIPs?.length ?? 0) > 0) spec.externalTrafficPolicy ??= 'Cluster';
  } else spec.externalTrafficPolicy ??= 'Cluster';
  if (spec.type === 'LoadBalancer') spec.allocateLoadBalancerNodePorts ??= true;
  else delete spec.allocateLoadBalancerNodePorts;
}
