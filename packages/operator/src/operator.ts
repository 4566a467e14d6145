import { randomBytes } from 'node:crypto';
import {
  createKubeClient,
  eventRecorder,
  type KubeConfiguration,
  leaderElection,
  type NodeObject,
  parseNode,
  reflector,
  resources,
} from '@sluice/kube';
import { type AddressFamily, familyOf, type Prefix, prefixOf } from '@sluice/net';
import { openNetlink } from '@sluice/netlink';
import { type Clock, type Logger, systemClock } from '@sluice/runtime';
import { Controllers, Table } from '@sluice/state';
import { assignPodCidrs } from './pod-cidrs.ts';
import type { Pool, PoolPlan } from './pools.ts';

export interface OperatorOptions {
  readonly kube: KubeConfiguration;
  readonly pools: readonly Pool[];
  readonly families: readonly AddressFamily[];
  /** Of the Lease. */
  readonly namespace: string;
  /** Whose name the events bear. */
  readonly host: string;
  readonly log: Logger;
  readonly clock?: Clock;
  /** Default: those that netlink shows. */
  readonly lan?: () => readonly Prefix[];
}

export interface OperatorStatus {
  readonly leading: boolean;
  readonly leader: string;
  readonly plan: PoolPlan | undefined;
  readonly controllers: ReturnType<Controllers['list']>;
}

export interface Operator {
  status(): OperatorStatus;
  stop(): Promise<void>;
}

/** Without the API server it waits and tries again: nothing that runs depends on it. */
export function startOperator(options: OperatorOptions): Operator {
  const { log, clock = systemClock } = options;
  const client = createKubeClient({ ...options.kube, log, userAgent: 'sluice-operator' });
  const controllers = new Controllers(clock);
  const events = eventRecorder({ client, component: 'sluice-operator', host: options.host, log, clock });
  const nodes = new Table<NodeObject>({
    name: 'nodes',
    key: (row) => row.name,
    sources: ['nodes'],
    columns: { Name: (row) => row.name },
  });
  const watch = reflector({
    client,
    resource: resources.nodes,
    parse: parseNode,
    table: nodes,
    source: 'nodes',
    log,
    clock,
  });
  let plan: PoolPlan | undefined;
  const context = {
    client,
    nodes,
    pools: options.pools,
    families: options.families,
    lan: options.lan ?? localNetworks,
    events,
    log,
  };

  function lead(signal: AbortSignal): void {
    const controller = controllers.start({
      name: 'pod-cidrs',
      intervalMs: 60_000,
      backoffMaxMs: 30_000,
      run: async (stopped) => {
        plan = (await assignPodCidrs(context, AbortSignal.any([signal, stopped]))) ?? plan;
      },
    });
    const subscription = nodes.subscribe(() => controller.trigger());
    signal.addEventListener('abort', () => {
      subscription[Symbol.dispose]();
      void controller.stop();
    });
  }

  const election = leaderElection({
    client,
    namespace: options.namespace,
    name: 'sluice-operator',
    identity: `${options.host}-${randomBytes(4).toString('hex')}`,
    onStartedLeading: lead,
    log,
    clock,
  });
  watch.start();
  election.start();
  return {
    status: () => ({ leading: election.isLeader, leader: election.leader, plan, controllers: controllers.list() }),
    async stop() {
      await election.stop();
      await watch.stop();
      await events.stop();
      client.close();
    },
  };
}

/** Prefixes of this node's own devices; ours and the loopback's are no LAN. */
function localNetworks(): Prefix[] {
  using netlink = openNetlink();
  const names = new Map(netlink.links.list().map((link) => [link.ifindex, link.name]));
  return netlink.addresses.list().flatMap(({ ifindex, address, length }) => {
    const name = names.get(ifindex) ?? '';
    const isWide = length < (familyOf(address) === 4 ? 32 : 128);
    const isLan = isWide && !/^(lo$|sluice_|slc)/.test(name) && !address.startsWith('fe80:');
    return isLan ? [prefixOf(address, length)] : [];
  });
}
