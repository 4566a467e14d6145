/** Every case there is, in the order in which they are told. */
import { parseAddress } from '@sluice/net';
import type { Case, Surroundings } from './case.ts';
import { dnsCases } from './cases/dns.ts';
import { hostCases } from './cases/hosts.ts';
import { outsideCases } from './cases/outside.ts';
import { pastHooksCases } from './cases/past-hooks.ts';
import { podCases } from './cases/pods.ts';
import { serviceCases } from './cases/services.ts';
import { sizeCases } from './cases/sizes.ts';
import { wayInCases } from './cases/ways-in.ts';
import { worldCases } from './cases/world.ts';
import { podPlans, SERVICES } from './workload.ts';

export function casesOf(around: Surroundings): Case[] {
  const groups = [
    ...[podCases, serviceCases, hostCases, pastHooksCases, wayInCases, sizeCases, dnsCases],
    ...[worldCases, outsideCases],
  ];
  return groups.flatMap((group) => group(around));
}

/** What there would be in a cluster that has everything: names and sentences of cases, without asking anybody. */
export function allCases(namespace: string): Case[] {
  const both = { 4: parseAddress('192.0.2.1'), 6: parseAddress('2001:db8::1') } as const;
  const node = (name: string) => ({ name, addresses: [both[4], both[6]] });
  const addressed = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, both]));
  return casesOf({
    namespace,
    nodes: [node('near'), node('far')],
    pods: addressed(podPlans({ namespace, image: '', nodes: ['near', 'far'] }).map(({ name }) => name)),
    services: addressed(SERVICES.map(({ name }) => name)),
    nodePorts: Object.fromEntries(SERVICES.map(({ name }) => [name, { tcp: 30_080, udp: 30_081 }])),
    world: { 4: { address: both[4], port: 80 }, 6: { address: both[6], port: 80 } },
    hasOutside: true,
  });
}
