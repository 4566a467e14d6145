import type { Address, Mac } from '@sluice/net';
import type { AddRequest, AttachmentKey, CheckRequest, DelRequest, GcRequest } from './request.ts';
import type { CniResult } from './result.ts';

/** What `sluice-cni` is to make: a veth pair with one end in the pod. */
export interface Attachment {
  readonly hostName: string;
  readonly hostMac: Mac;
  readonly podName: string;
  readonly podMac: Mac;
  /** Of the device. */
  readonly mtu: number;
  /** Of the routes: what fits through the tunnel. */
  readonly routeMtu: number;
  readonly ipv4?: AttachmentAddress;
  readonly ipv6?: AttachmentAddress;
}

export interface AttachmentAddress {
  readonly address: Address;
  readonly gateway: Address;
}

/** What the pair turned out to be. */
export interface PodFacts {
  readonly hostIfindex: number;
  readonly podIfindex: number;
  /** SO_NETNS_COOKIE of the pod's namespace: never reused while the machine runs. */
  readonly netnsCookie: bigint;
  readonly netnsInode: bigint;
}

/** What is inside the pod now. */
export interface InspectedPod {
  /** Undefined: the device is gone. */
  readonly device: { readonly ifindex: number; readonly mac: string; readonly up: boolean } | undefined;
  readonly addresses: readonly string[];
  /** Of the default routes through the device. */
  readonly gateways: readonly string[];
}

/** ADD is answered in two steps; `complete` or `abandon` is called exactly once. */
export interface Addition {
  readonly kind: 'new';
  readonly attachment: Attachment;
  /** The pair stands: attach programs, write maps and state, then answer. When it throws, the pair is deleted. */
  complete(facts: PodFacts): CniResult;
  /** The pair could not be made, or the program went away. */
  abandon(reason: string): void;
}

/** CHECK, and ADD of what is already there: looks inside before it answers. */
export interface Check {
  readonly kind: 'check';
  readonly podName: string;
  /** Throws a `CniError` that names the difference. */
  verify(pod: InspectedPod): CniResult;
}

/**
 * DEL is answered in two steps, too: deleting a device waits for all CPUs (RCU, some 30 ms), and the agent does not wait
 * with them. `complete` is called exactly once, also when the program went away; then it deletes the device itself.
 */
export interface Removal {
  /** The device that `sluice-cni` deletes; undefined: there is none. */
  readonly hostName: string | undefined;
  complete(): void;
}

/** What the endpoint package does for a container runtime. Everything throws `CniError` to refuse. */
export interface CniHandler {
  /** A promise where it has to wait for the end of a removal. */
  add(request: AddRequest): Addition | Check | Promise<Addition | Check>;
  check(request: CheckRequest): Check;
  /** Succeeds when there is nothing to remove. */
  remove(request: DelRequest): Removal;
  /** Throws 50 or 51 when an ADD would fail now. */
  status(): void;
  /** Removes what is not in the list. */
  collect(request: GcRequest): void;
}

export type { AttachmentKey };
