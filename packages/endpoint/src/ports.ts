import type { Endpoint as EndpointValue, NetnsEndpoint as NetnsEndpointValue } from '@sluice/datapath';
import type { IdentityId } from '@sluice/model';
import type { Address } from '@sluice/net';

/** What endpoints need of the datapath's maps, and no more: tests give fakes. */
export interface EndpointMaps {
  readonly endpoints: EndpointMap<Address | undefined, EndpointValue>;
  readonly netnsEndpoints: EndpointMap<bigint, NetnsEndpointValue>;
}

export interface EndpointMap<Key, Value> {
  update(key: Key, value: Value): void;
  delete(key: Key): boolean;
  lookup(key: Key): Value | undefined;
  entries(): IterableIterator<[Key, Value]>;
}

export type { Endpoint as EndpointValue, NetnsEndpoint as NetnsEndpointValue } from '@sluice/datapath';

/** The program of the pods' host-side devices, pinned by the device's name. */
export interface PodPrograms {
  /** Attaches, or replaces the program in the link that is pinned already. */
  attachPod(name: string, ifindex: number): void;
  /** A missing link is success. */
  detachPod(name: string): void;
  /** Lets go of the link of a device that is gone, without asking the kernel. A missing link is success. */
  forgetPod(name: string): void;
  /** Devices that have a link; without an index nothing runs there any more. */
  listPodLinks(): Iterable<{ readonly device: string; readonly ifindex: number | undefined }>;
}

/** What policies see of this node's pods, as far as it is known. */
export interface PodIdentities {
  /** Undefined: nobody has told of the pod or of its namespace yet, or any more. */
  labelsOf(namespace: string, name: string): readonly string[] | undefined;
  /** Undefined: the labels have no number yet. */
  identityOf(labels: readonly string[]): IdentityId | undefined;
}
