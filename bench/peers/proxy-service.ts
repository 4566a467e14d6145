/** What kube-proxy knows of a service of one TCP port, policies Cluster, and how it makes names of chains. Pure. */
import { createHash } from 'node:crypto';

export interface ProxyService {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly nodePort?: number;
  /** Of a service whose clients stay with their endpoint. */
  readonly affinitySeconds?: number;
  /** None: it is refused. */
  readonly endpoints: readonly ProxyEndpoint[];
}

export interface ProxyEndpoint {
  readonly address: string;
  readonly port: number;
  /** On the node whose rules these are. */
  readonly isLocal?: boolean;
}

export interface ProxyNode {
  /** Its addresses that accept NodePort traffic, where the mode keeps a set of them. */
  readonly nodeAddresses?: readonly string[];
}

/** Whose traffic is not masqueraded on its way to a service. */
export const podNetwork = '10.244.0.0/16';
/** kubeadm's. */
export const serviceNetwork = '10.96.0.0/12';
export const masqueradeMark = '0x4000';

/** One of up to 2^16; two endpoints, nobody there. */
export function fillerService(index: number): ProxyService {
  const low = `${index >> 8}.${index & 0xff}`;
  const endpoints = [200, 201].map((network) => ({ address: `10.${network}.${low}`, port: 8080 }));
  return { name: `filler-${index}`, address: `10.96.${low}`, port: 80, endpoints };
}

/** Namespace and name, as they stand in comments. */
export function titleOf({ name }: ProxyService): string {
  return `bench/${name}`;
}

export function socketOf({ address, port }: ProxyEndpoint): string {
  return `${address}:${port}`;
}

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** The first letters of a text's SHA-256 in base 32 (RFC 4648). */
export function hashed(text: string, count: 8 | 16): string {
  const hash = createHash('sha256').update(text).digest();
  // Five bytes are eight letters, and as many as a number holds.
  const digits = [0, 5].map((offset) => hash.readUIntBE(offset, 5).toString(32).padStart(8, '0')).join('');
  return [...digits.slice(0, count)].map((digit) => letters[Number.parseInt(digit, 32)]).join('');
}
