import { Identities, type LabelRules, LabelSets } from '@sluice/identity';
import {
  type CiliumEndpointSliceObject,
  type KubeClient,
  type NamespaceObject,
  parseCiliumEndpointSlice,
  parseCiliumIdentity,
  parseNamespace,
  type Reflector,
  reflector,
  resources,
} from '@sluice/kube';
import type { Clock, Logger } from '@sluice/runtime';
import { Table } from '@sluice/state';
import { type LabelledPod, labelledPodTable, parseLabelledPod } from './identities/labelled-pod.ts';
import { type MarkedNode, parseMarkedNode } from './node-marks/marked-node.ts';

/** What the operator knows of the cluster, leader or not: who takes over has it all at hand. */
export interface Cluster {
  readonly nodes: Table<MarkedNode>;
  readonly namespaces: Table<NamespaceObject>;
  readonly pods: Table<LabelledPod>;
  readonly slices: Table<CiliumEndpointSliceObject>;
  readonly identities: Identities;
  readonly labelSets: LabelSets;
  /** What cannot be listed or watched, and why. */
  troubles(): string[];
  start(): void;
  stop(): Promise<void>;
}

export interface ClusterOptions {
  readonly client: KubeClient;
  readonly rules: LabelRules;
  /** Where our own pods are. */
  readonly namespace: string;
  readonly log: Logger;
  readonly clock: Clock;
}

export function watchCluster({ client, rules, namespace, log, clock }: ClusterOptions): Cluster {
  const labelSets = new LabelSets();
  const identities = new Identities(labelSets);
  const nodes = namedTable<MarkedNode>('nodes');
  const namespaces = namedTable<NamespaceObject>('namespaces');
  const slices = namedTable<CiliumEndpointSliceObject>('slices');
  const pods = labelledPodTable();
  const common = { client, log, clock };
  const reflectors: Reflector[] = [
    reflector({ ...common, resource: resources.nodes, parse: parseMarkedNode, table: nodes, source: 'nodes' }),
    reflector({
      ...common,
      resource: resources.namespaces,
      parse: parseNamespace,
      table: namespaces,
      source: 'namespaces',
    }),
    reflector({
      ...common,
      resource: resources.pods,
      parse: parseLabelledPod(labelSets, rules, namespace),
      table: pods,
      source: 'pods',
    }),
    reflector({
      ...common,
      resource: resources.ciliumIdentities,
      parse: (object) => identities.read(parseCiliumIdentity(object)),
      table: identities,
      source: 'identities',
    }),
    reflector({
      ...common,
      resource: resources.ciliumEndpointSlices,
      parse: parseCiliumEndpointSlice,
      table: slices,
      source: 'slices',
    }),
  ];
  return {
    nodes,
    namespaces,
    pods,
    slices,
    identities,
    labelSets,
    troubles: () => watchTroubles(reflectors),
    start() {
      for (const each of reflectors) each.start();
    },
    async stop() {
      await Promise.all(reflectors.map((each) => each.stop()));
    },
  };
}

/** Of each that does not work what it is about, and why. */
export function watchTroubles(watches: readonly Reflector[]): string[] {
  return watches.flatMap((watch) => {
    const { source, lastError } = watch.status();
    return lastError === undefined ? [] : [`${source}: ${lastError}`];
  });
}

function namedTable<Row extends { readonly name: string }>(name: string): Table<Row> {
  return new Table<Row>({ name, key: (row) => row.name, sources: [name], columns: { Name: (row) => row.name } });
}
