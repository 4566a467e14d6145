import type { ServiceObject, Trouble } from '@sluice/kube';
import type { Viewpoint } from './desired.ts';
import { conflictText, type FrontendConflict } from './desired-services.ts';
import { balancerAnswers, unservedFrontends } from './unserved.ts';

/** What whoever describes a Service should know of it. Pure; the same on every node, so that one process tells it. */
export function serviceTroubles(
  service: ServiceObject,
  conflicts: readonly FrontendConflict[],
  viewpoint: Viewpoint,
): Trouble[] {
  const { namespace, name, uid } = service;
  const object = { apiVersion: 'v1', kind: 'Service', namespace, name, uid };
  return [
    ...notServed(service, viewpoint).map((message) => ({ object, reason: 'NotServed', message })),
    ...conflicts.map((conflict) => ({
      object,
      reason: 'AddressConflict',
      message: `${conflictText(conflict)}: this service is not reached there`,
    })),
    ...invalid(service.problems).map((message) => ({ object, reason: 'InvalidService', message })),
  ];
}

/** One message for each reason, with the places it concerns. */
function notServed(service: ServiceObject, viewpoint: Viewpoint): string[] {
  const places = new Map<string, string[]>();
  for (const { key, reason } of unservedFrontends(service, viewpoint))
    if (reason !== balancerAnswers) places.set(reason, [...(places.get(reason) ?? []), key]);
  return [...places].map(([reason, keys]) => `${reason}: ${keys.join(', ')}`);
}

/** Problems of one object are one message: what is wrong with it is read at once. */
export function invalid(problems: readonly string[]): string[] {
  return problems.length === 0 ? [] : [`not used: ${problems.join('; ')}`];
}
