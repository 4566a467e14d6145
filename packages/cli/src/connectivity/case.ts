/** The nouns of the connectivity test: a case is data; what it does and what must come of it can be read without running it. */
import type { Address } from '@sluice/net';

export type Family = 4 | 6;
export const families = [4, 6] as const;

export type Protocol = 'tcp' | 'udp';
export const protocols = ['tcp', 'udp'] as const;

/** Addresses by family, as the cluster gave them; a family that something has not is absent. */
export type Addresses = Readonly<Partial<Record<Family, Address>>>;

/** As the cluster gave them. */
export type NodePorts = Readonly<Partial<Record<Protocol, number>>>;

/** An echo server outside of the cluster. */
export interface WorldServer {
  readonly address: Address;
  readonly port: number;
}

export interface NodeFacts {
  readonly name: string;
  readonly addresses: readonly Address[];
}

/** What the cases are made from, all of it found in the cluster or given by the person. */
export interface Surroundings {
  readonly namespace: string;
  /** The client's node and another one; the same where the cluster has only one. */
  readonly nodes: readonly [near: NodeFacts, far: NodeFacts];
  readonly pods: Readonly<Record<string, Addresses>>;
  readonly services: Readonly<Record<string, Addresses>>;
  /** Of services that have some. */
  readonly nodePorts: Readonly<Record<string, NodePorts>>;
  readonly world: Readonly<Partial<Record<Family, WorldServer>>>;
  /** Whether commands can be run on a machine outside of the cluster. */
  readonly hasOutside: boolean;
}

export interface Case {
  readonly name: string;
  /** What it tries and what must come of it, in one sentence. */
  readonly summary: string;
  /** One after another; the case passes when each ends as expected. */
  readonly steps: readonly Step[];
  /** Every step must have been answered by the same host. */
  readonly isSameHost: boolean;
  /** Where to look when it fails. */
  readonly hint: string;
  /** Why it cannot be tried here; then there are no steps. */
  readonly notRun: string | undefined;
}

/** A machine outside of the cluster, in place of a pod. */
export const OUTSIDE = 'outside';

export interface Step {
  /** A pod, or OUTSIDE. */
  readonly from: string;
  readonly command: readonly string[];
  readonly expected: Expectation;
  /** Runs at the same time. */
  readonly beside?: Step;
}

/** How the output of a step's command is judged, see `verdict.ts`. */
export type Expectation =
  /** The last attempt was answered; with `isEvery` each of them. */
  | {
      readonly outcome: 'answered';
      readonly isEvery?: boolean;
      /** What the answer must hold: `host=POD`, or `node=NODE` where the server is on the host's network. */
      readonly by: string | undefined;
      /** Addresses of which the server must have seen one; undefined where any will do. */
      readonly seen: readonly string[] | undefined;
      /** What the client must believe to talk to: `address:port`. */
      readonly peer: string | undefined;
      /** The segments were as large as the route's MTU allows. */
      readonly isInFullSegments?: boolean;
    }
  /** Refused by a reset or an ICMP error, not by silence. */
  | { readonly outcome: 'refused' }
  /** A ping came back whole; with `isFull` as large as the route's MTU. */
  | { readonly outcome: 'echoed'; readonly from: string; readonly isFull: boolean }
  /** An ICMP error came instead; of its sender it is known who it is not. */
  | { readonly outcome: 'time-exceeded'; readonly notFrom: string }
  /** Too big, with the MTU that the route has; with `mayArrive` it may have come through whole, but not be lost. */
  | { readonly outcome: 'too-big'; readonly mayArrive: boolean }
  /** Every attempt was answered, all by one of these, or each of these answered some. */
  | { readonly outcome: 'one-host' | 'every-host'; readonly of: readonly string[] }
  | { readonly outcome: 'resolved'; readonly records: readonly string[] }
  | { readonly outcome: 'no-such-name' }
  /** Nothing arrived at a listener. */
  | { readonly outcome: 'silence' }
  /** It only had to be sent. */
  | { readonly outcome: 'sent' };

/** Why a case cannot be tried; `defineCase` turns it into a case that is told as not run. */
class Absent extends Error {}

export function absent(why: string): never {
  throw new Absent(why);
}

export interface CaseText {
  readonly name: string;
  readonly summary: string;
  readonly hint: string;
  readonly isSameHost?: boolean;
}

/** A case whose steps need what may not be there. */
export function defineCase(text: CaseText, steps: () => readonly Step[]): Case {
  const { isSameHost = false } = text;
  try {
    return { ...text, isSameHost, steps: steps(), notRun: undefined };
  } catch (error) {
    if (error instanceof Absent) return { ...text, isSameHost, steps: [], notRun: error.message };
    throw error;
  }
}
