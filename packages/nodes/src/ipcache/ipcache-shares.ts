import type { CiliumEndpointSliceObject } from '@sluice/kube';
import type { Address } from '@sluice/net';
import { type Change, type ReadableTable, type RowStatus, sameValue, Table } from '@sluice/state';
import type { Node } from '../node.ts';
import { claimsOf, type IpcacheShare, nodeShare, rowsOf, sliceShare, sliceShareName, whyRefused } from './share.ts';

export interface IpcacheSharesOptions {
  readonly nodes: ReadableTable<Node>;
  readonly slices: ReadableTable<CiliumEndpointSliceObject>;
  /** How the kernel's rows of a share fare. */
  readonly statusOf: (share: string) => RowStatus | undefined;
}

/**
 * All that map `ipcache` is to hold, a row for each publisher, kept up with nodes and slices as they change: a pod that
 * starts anywhere costs its slice's rows and not the cluster's. An address that several slices claim goes to the first by
 * name, so that what comes out depends on what there is and not on what came first.
 */
export class IpcacheShares implements Disposable {
  readonly table: Table<IpcacheShare>;
  readonly #options: IpcacheSharesOptions;
  /** Slices that may have the address: hardly ever more than one. */
  readonly #claimants = new Map<Address, string | readonly string[]>();
  /** Nodes by their own addresses. */
  readonly #nodeAddresses = new Map<Address, string>();
  readonly #subscriptions = new DisposableStack();

  constructor(options: IpcacheSharesOptions) {
    const { nodes, slices } = options;
    this.#options = options;
    this.table = shareTable(options.statusOf);
    this.#takeNodes(nodes.list().map((after) => ({ key: after.name, before: undefined, after })));
    this.#takeSlices(slices.list().map((after) => ({ key: after.name, before: undefined, after })));
    this.#markInitialized();
    this.#subscriptions.use(
      nodes.subscribe((changes) => {
        this.#takeNodes(changes);
        this.#markInitialized();
      }),
    );
    this.#subscriptions.use(
      slices.subscribe((changes) => {
        this.#takeSlices(changes);
        this.#markInitialized();
      }),
    );
  }

  /** The share that has an address; undefined: nobody may have it. */
  holderOf(address: Address): string | undefined {
    const node = this.#nodeAddresses.get(address);
    if (node !== undefined) return node;
    const slice = this.#sliceWith(address);
    return slice === undefined ? undefined : sliceShareName({ name: slice });
  }

  /** `shop/cart-0` for the address of a pod of another node. */
  podAt(address: Address): string | undefined {
    const slice = this.#sliceWith(address);
    const share = slice === undefined ? undefined : this.table.get(sliceShareName({ name: slice }));
    return share && rowsOf(share).find((row) => row.address === address)?.pod;
  }

  [Symbol.dispose](): void {
    this.#subscriptions.dispose();
  }

  #markInitialized(): void {
    const { nodes, slices } = this.#options;
    if (nodes.initialized) this.table.markInitialized('nodes');
    if (slices.initialized) this.table.markInitialized('slices');
  }

  #takeNodes(changes: readonly Change<Node>[]): void {
    const changed = changes.filter(
      ({ before, after }) => !sameValue(before && essence(before), after && essence(after)),
    );
    for (const { before } of changed) {
      const share = before && nodeShare(before);
      for (const address of share?.addresses ?? []) this.#nodeAddresses.delete(address);
    }
    for (const { key, after } of changed) {
      const share = after && nodeShare(after);
      for (const address of share?.addresses ?? []) this.#nodeAddresses.set(address, share?.name ?? key);
      if (share) this.table.upsert(share);
      else this.table.delete(`node ${key}`);
    }
    const names = new Set(changed.map(({ key }) => key));
    const slices = this.#options.slices.list().filter(({ node }) => node !== undefined && names.has(node));
    this.#takeSlices(slices.map((slice) => ({ key: slice.name, before: slice, after: slice })));
  }

  #takeSlices(changes: readonly Change<CiliumEndpointSliceObject>[]): void {
    const { slices } = this.#options;
    const touched = new Set<string>();
    for (const { key, before, after } of changes) {
      touched.add(key);
      if (before) for (const { address } of claimsOf(before)) this.#withdraw(address, key, touched);
      if (after) this.#claim(after, touched);
    }
    for (const name of touched) {
      const slice = slices.get(name);
      const share = slice && sliceShare(slice, this.#nodeOf(slice), (address) => this.#sliceWith(address));
      if (share) this.table.upsert(share);
      else this.table.delete(sliceShareName({ name }));
    }
  }

  #nodeOf({ node }: CiliumEndpointSliceObject): Node | undefined {
    return node === undefined ? undefined : this.#options.nodes.get(node);
  }

  #claim(slice: CiliumEndpointSliceObject, touched: Set<string>): void {
    const node = this.#nodeOf(slice);
    if (node === undefined || node.local || node.tunnelEndpoint === undefined) return;
    for (const claim of claimsOf(slice)) {
      if (whyRefused(claim, node) !== undefined) continue;
      const others = this.#claimantsOf(claim.address).filter((name) => name !== slice.name);
      for (const name of others) touched.add(name);
      this.#claimants.set(claim.address, others.length === 0 ? slice.name : [...others, slice.name].sort());
    }
  }

  #withdraw(address: Address, name: string, touched: Set<string>): void {
    const others = this.#claimantsOf(address).filter((other) => other !== name);
    for (const other of others) touched.add(other);
    const [first] = others;
    if (first === undefined) this.#claimants.delete(address);
    else this.#claimants.set(address, others.length === 1 ? first : others);
  }

  #claimantsOf(address: Address): readonly string[] {
    const claimants = this.#claimants.get(address) ?? [];
    return typeof claimants === 'string' ? [claimants] : claimants;
  }

  #sliceWith(address: Address): string | undefined {
    return this.#claimantsOf(address)[0];
  }
}

/** What of a node decides over shares: labels come and go without any of it. */
function essence({ local, tunnelEndpoint, podMtu, addresses, routerAddresses, podCidrs }: Node) {
  return { local, tunnelEndpoint, podMtu, addresses, routerAddresses, podCidrs };
}

function shareTable(statusOf: IpcacheSharesOptions['statusOf']): Table<IpcacheShare> {
  return new Table<IpcacheShare>({
    name: 'ipcache',
    key: (row) => row.name,
    sources: ['nodes', 'slices'],
    columns: {
      Name: (row) => row.name,
      Node: (row) => row.node,
      Tunnel: (row) => row.tunnelEndpoint ?? '',
      Addresses: (row) => String([...rowsOf(row)].length),
      State: (row) => statusOf(row.name)?.state ?? 'pending',
      Problems: (row) => [...row.problems, statusOf(row.name)?.error ?? []].flat().join('; '),
    },
  });
}
