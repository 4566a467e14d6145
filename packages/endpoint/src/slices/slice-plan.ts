import { createHash } from 'node:crypto';
import type { CiliumEndpointSliceObject, PublishedEndpoint } from '@sluice/kube';
import type { Address } from '@sluice/net';
import { type Endpoint, endpointKey } from '../endpoint.ts';

/** What of a slice we decide. */
export type Slice = Omit<CiliumEndpointSliceObject, 'uid' | 'problems'>;

/** The node that publishes. */
export interface PublishingNode {
  readonly name: string;
  readonly uid: string;
  readonly address: Address;
}

/** A pod that starts costs every other node one slice, so slices are small. */
export const endpointsPerSlice = 16;

// Names of objects have at most 253 characters; with a namespace of 63 and a number that is what is left for the node.
const nodeNameMax = 180;

/**
 * Which endpoint is in which slice. Each stays where it is until it is gone, so that nothing is written that has not
 * changed; what comes goes into the first slice of its namespace with room.
 */
export class SlicePlan {
  readonly #places = new Map<string, number>();

  /** By name. `published` is what the API has of ours: an agent that starts goes on with it. */
  slices(
    endpoints: readonly Endpoint[],
    node: PublishingNode,
    published: readonly CiliumEndpointSliceObject[],
  ): Map<string, Slice> {
    const named = endpoints.filter(({ pod }) => pod !== undefined);
    const keys = new Set(named.map(endpointKey));
    for (const key of this.#places.keys()) if (!keys.has(key)) this.#places.delete(key);
    const slices = new Map<string, Slice>();
    for (const endpoint of named) {
      const namespace = endpoint.pod?.namespace ?? '';
      const place = this.#places.get(endpointKey(endpoint));
      if (place !== undefined) put(slices, sliceOf(node, namespace, place), endpoint);
    }
    for (const endpoint of named.filter((each) => !this.#places.has(endpointKey(each)))) {
      this.#place(endpoint, node, slices, published);
    }
    return slices;
  }

  #place(
    endpoint: Endpoint,
    node: PublishingNode,
    slices: Map<string, Slice>,
    published: readonly CiliumEndpointSliceObject[],
  ): void {
    const namespace = endpoint.pod?.namespace ?? '';
    const before = published.find((slice) => slice.endpoints.some((each) => isSame(each, slice, endpoint)));
    for (let number = before === undefined ? 0 : placeOf(before); ; number += 1) {
      const slice = sliceOf(node, namespace, number);
      const taken = slices.get(slice.name)?.endpoints.length ?? 0;
      if (taken >= endpointsPerSlice) continue;
      this.#places.set(endpointKey(endpoint), number);
      put(slices, slice, endpoint);
      return;
    }
  }
}

function put(slices: Map<string, Slice>, slice: Slice, endpoint: Endpoint): void {
  const before = slices.get(slice.name) ?? slice;
  slices.set(slice.name, { ...before, endpoints: [...before.endpoints, publishedEndpoint(endpoint)] });
}

function publishedEndpoint({ pod, identity, ipv4, ipv6 }: Endpoint): PublishedEndpoint {
  return { name: pod?.name ?? '', identity, ipv4, ipv6 };
}

function isSame(
  published: PublishedEndpoint,
  slice: CiliumEndpointSliceObject,
  { pod, ipv4, ipv6 }: Endpoint,
): boolean {
  const samePod = published.name === pod?.name && slice.namespace === pod.namespace;
  return samePod && published.ipv4 === ipv4 && published.ipv6 === ipv6;
}

/** `k8s-cp2.shop.0`: a namespace has no dots, so no two nodes and namespaces can mean the same. */
function sliceOf(node: PublishingNode, namespace: string, place: number): Slice {
  const nodeName = node.name.length > nodeNameMax ? digest(node.name) : node.name;
  const name = `${nodeName}.${namespace}.${place}`;
  return { name, namespace, node: node.name, nodeUid: node.uid, nodeAddresses: [node.address], endpoints: [] };
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

function placeOf({ name }: CiliumEndpointSliceObject): number {
  const place = /\.(\d{1,4})$/.exec(name)?.[1];
  return place === undefined ? 0 : Number(place);
}
