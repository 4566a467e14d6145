/** The ways into a Service, as questions. */

import type { Question } from './asking.ts';
import { nodes, SERVICE_PORT, type ServiceFacts } from './cluster.ts';
import type { Mode } from './upstream-case.ts';

export const ways = ['ClusterIP', 'balancer', 'external', 'NodePort 1', 'NodePort 2', 'NodePort 3'] as const;
export type Way = (typeof ways)[number];

/** What a mode's client asks a Service by one way; a ClusterIP is not for who is outside. */
export function question(service: ServiceFacts, way: Way, mode: Mode, more: Partial<Question> = {}): Question {
  const { client, protocol, family } = mode;
  const what = `${service.name} by ${way}, ${client}, ${protocol}, IPv${family}`;
  return { what, client, protocol, family, ...placeOf(service, way, mode), ...more };
}

export function waysOf({ client }: Mode): readonly Way[] {
  return client === 'outside' ? ways.slice(1) : ways;
}

/** The node that is asked, where it is one's own for who is inside. */
export function nodeAsked(way: Way): string {
  const index = way.startsWith('NodePort') ? Number(way.slice(-1)) - 1 : 0;
  return (nodes[index] ?? nodes[0]).name;
}

function placeOf(service: ServiceFacts, way: Way, { protocol, family }: Mode): { address: string; port: number } {
  if (way === 'ClusterIP') return { address: service.cluster[family], port: SERVICE_PORT };
  if (way === 'balancer') return { address: service.balancer[family], port: SERVICE_PORT };
  if (way === 'external') return { address: service.external[family], port: SERVICE_PORT };
  const node = nodes.find(({ name }) => name === nodeAsked(way)) ?? nodes[0];
  return { address: node[family], port: service.nodePort[protocol] };
}
