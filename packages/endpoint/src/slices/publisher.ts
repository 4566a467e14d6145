import { type CiliumEndpointSliceObject, isAlreadyExists, isNotFound, type KubeClient, resources } from '@sluice/kube';
import type { Clock, Logger, Timer } from '@sluice/runtime';
import {
  type Controllers,
  type Operations,
  type ReadableTable,
  type Reconciler,
  reconciler,
  sameValue,
} from '@sluice/state';
import type { EndpointTable } from '../endpoint.ts';
import { type PublishingNode, type Slice, SlicePlan } from './slice-plan.ts';

export interface PublisherOptions {
  readonly client: KubeClient;
  readonly endpoints: EndpointTable;
  /** All nodes' slices, as the API has them. */
  readonly slices: ReadableTable<CiliumEndpointSliceObject>;
  /** Undefined: the API does not have our Node, so there is nothing for a slice to belong to. */
  readonly node: () => PublishingNode | undefined;
  readonly controllers: Controllers | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Tells the other nodes which address here has which identity. */
export interface Publisher {
  readonly reconciler: Reconciler<Slice>;
  /** The node has changed. */
  trigger(): void;
  stop(): Promise<void>;
}

const resource = resources.ciliumEndpointSlices;

// At most ten writes a second, whatever happens on the node; the first one goes out at once.
const minIntervalMs = 200;
const limitPerRound = 2;
const backoff = { minMs: 1_000, maxMs: 20_000 };
/** The watch needs a moment to tell of our own writes: until then a difference is none. */
const settleMs = 5_000;

export function startPublisher(options: PublisherOptions): Publisher {
  const { endpoints, slices, controllers, clock, log } = options;
  const plan = new SlicePlan();
  const own = (): CiliumEndpointSliceObject[] => {
    const name = options.node()?.name;
    return slices.list().filter((slice) => slice.node !== undefined && slice.node === name);
  };
  const kept = reconciler<Slice>({
    name: 'endpoint-slices',
    // Before the list is in nobody knows what is there, and without a node nothing may be.
    desired: () => {
      const node = options.node();
      return node !== undefined && slices.initialized ? plan.slices(endpoints.list(), node, own()) : new Map();
    },
    initialized: () => slices.initialized && endpoints.initialized && options.node() !== undefined,
    operations: { ...sliceOperations(options), list: () => own().map((slice) => [slice.name, essence(slice)]) },
    ...{ minIntervalMs, limitPerRound, backoff, clock, log },
    ...(controllers && { controllers }),
  });
  let looking: Timer | undefined;
  const lookAgain = (): void => {
    looking ??= clock.setTimeout(() => {
      looking = undefined;
      kept.triggerFull();
    }, settleMs);
  };
  const subscriptions = new DisposableStack();
  subscriptions.use(endpoints.subscribe(() => kept.trigger()));
  subscriptions.use(
    slices.subscribe((changes) => {
      if (changes.length === 0) kept.trigger();
      // Somebody else's hand in ours, or the end of ours after all.
      const name = options.node()?.name;
      if (changes.some(({ before, after }) => (after ?? before)?.node === name)) lookAgain();
    }),
  );
  kept.start();
  return {
    reconciler: kept,
    trigger: () => kept.trigger(),
    async stop() {
      looking?.cancel();
      subscriptions.dispose();
      await kept.stop();
    },
  };
}

function sliceOperations({ client, slices }: Pick<PublisherOptions, 'client' | 'slices'>): Operations<Slice> {
  return {
    async update(slice, name) {
      const isKnown = slices.has(name);
      const written = isKnown ? await patched(client, slice) : await created(client, slice);
      if (written) return;
      // The watch was behind: it is there after all, or it is not any more.
      if (isKnown) await client.create(resource, sliceObject(slice));
      else await client.patch(resource, { name, patch: sliceObject(slice) });
    },
    async delete(name) {
      try {
        await client.delete(resource, { name });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    },
  };
}

async function patched(client: KubeClient, slice: Slice): Promise<boolean> {
  try {
    await client.patch(resource, { name: slice.name, patch: sliceObject(slice) });
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

async function created(client: KubeClient, slice: Slice): Promise<boolean> {
  try {
    await client.create(resource, sliceObject(slice));
    return true;
  } catch (error) {
    if (isAlreadyExists(error)) return false;
    throw error;
  }
}

function sliceObject({ name, namespace, node, nodeUid, nodeAddresses, endpoints }: Slice) {
  const owner = { apiVersion: 'v1', kind: 'Node', name: node, uid: nodeUid };
  return {
    metadata: { name, ownerReferences: [owner] },
    namespace,
    endpoints: endpoints.map(({ name: pod, identity, ipv4, ipv6 }) => ({
      name: pod,
      id: identity,
      networking: { addressing: [{ ...(ipv4 && { ipv4 }), ...(ipv6 && { ipv6 }) }], node: nodeAddresses[0] },
    })),
  };
}

/** What is compared: the rest of an object is the API server's, or tells of damage, which is a difference as well. */
function essence({ uid: _, problems, ...slice }: CiliumEndpointSliceObject): Slice {
  return sameValue(problems, []) ? slice : { ...slice, nodeUid: undefined };
}
