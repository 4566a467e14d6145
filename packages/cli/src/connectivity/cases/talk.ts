/** The commonest case: a client asks an echo server, which tells whom it saw. */
import { type Address, formatAddressPort } from '@sluice/net';
import { type Case, defineCase, type Family, type Step, type Surroundings } from '../case.ts';
import { HOST_PORT, PORT, SERVICE_PORT } from '../workload.ts';
import { answererOf, podAddress, requireNodeOf, seenOf, serviceAddress } from './look-up.ts';

export interface Talk {
  readonly name: string;
  readonly summary: string;
  readonly hint: string;
  readonly from: string;
  /** Of the pod or the service with this name. */
  readonly to: { readonly pod: string } | { readonly service: string };
  /** The pod that must answer, where it has another name than `to`. */
  readonly by?: string;
  readonly family: Family;
  readonly protocol: string;
  readonly extra?: readonly string[];
}

export function talk(around: Surroundings, { name, summary, hint, ...rest }: Talk): Case {
  const { protocol, family } = rest;
  return defineCase({ name: `${name}/${protocol}/ipv${family}`, summary, hint }, () => [talkStep(around, rest)]);
}

export function talkStep(around: Surroundings, options: Omit<Talk, 'name' | 'summary' | 'hint'>): Step {
  const { from, to, family, protocol, extra = [] } = options;
  const by = options.by ?? ('pod' in to ? to.pod : to.service);
  requireNodeOf(around, by);
  const { address, port } = targetOf(around, to, family);
  return {
    from,
    command: ['client', protocol, address, String(port), ...extra],
    expected: {
      outcome: 'answered',
      by: answererOf(around, by),
      seen: seenOf(around, from, family),
      peer: formatAddressPort(address, port),
    },
  };
}

export function targetOf(around: Surroundings, to: Talk['to'], family: Family): { address: Address; port: number } {
  if ('service' in to) return { address: serviceAddress(around, to.service, family), port: SERVICE_PORT };
  return { address: podAddress(around, to.pod, family), port: to.pod.startsWith('host-') ? HOST_PORT : PORT };
}
