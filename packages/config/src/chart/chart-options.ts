import type { JsonSchema } from '../json-schema.ts';

/** What shapes our objects in the cluster; the processes themselves do not read it. */
export interface ChartOption {
  readonly schema: JsonSchema;
  /** As it stands in values.yaml. */
  readonly standard: unknown;
  readonly sentence: string;
}

const text = { type: 'string' } as const;
const absolutePath = { type: 'string', pattern: '^/' } as const;
const labels = { type: 'object', additionalProperties: text } as const;
const objects = { type: 'array', items: { type: 'object' } } as const;
const quantities = {
  type: 'object',
  additionalProperties: { anyOf: [text, { type: 'number' }] },
} as const;
const resources = {
  type: 'object',
  additionalProperties: false,
  properties: { requests: quantities, limits: quantities, claims: objects },
} as const;
const linux = { 'kubernetes.io/os': 'linux' };
const everywhere = [{ operator: 'Exists' }];

/** By their paths, which are the incumbent's. A name that is a map covers all below it. */
export const chartOptions: Readonly<Record<string, ChartOption>> = {
  'image.repository': {
    schema: { type: 'string', minLength: 1 },
    standard: 'localhost/sluice',
    sentence: 'Name of the one image, without its tag.',
  },
  'image.tag': { schema: text, standard: '', sentence: "Its tag; empty: the chart's version of Sluice." },
  'image.pullPolicy': {
    schema: { enum: ['IfNotPresent', 'Always', 'Never'] },
    standard: 'IfNotPresent',
    sentence: 'When nodes fetch it.',
  },
  imagePullSecrets: { schema: objects, standard: [], sentence: 'Secrets for its registry: [{ name: mine }].' },
  'cni.exclusive': {
    schema: { type: 'boolean' },
    standard: true,
    sentence: 'Whether CNI configurations of others are kept aside (renamed) while Sluice is installed.',
  },
  'cni.binPath': {
    schema: absolutePath,
    standard: '/opt/cni/bin',
    sentence: 'Where the container runtime finds CNI plugins on a node.',
  },
  'cni.confPath': {
    schema: absolutePath,
    standard: '/etc/cni/net.d',
    sentence: 'Where the container runtime finds their configuration on a node.',
  },
  'cgroup.hostRoot': {
    schema: absolutePath,
    standard: '/sys/fs/cgroup',
    sentence: 'Where cgroup v2 is mounted on a node; on one that has v1 as well its "unified" is found.',
  },
  resources: {
    schema: resources,
    standard: { requests: { cpu: '20m', memory: '110Mi' } },
    sentence: 'Of the agent.',
  },
  nodeSelector: { schema: labels, standard: linux, sentence: 'Nodes that get an agent.' },
  tolerations: {
    schema: objects,
    standard: everywhere,
    sentence: 'Of the agent, which makes the network of a node: it must run before others can.',
  },
  updateStrategy: {
    schema: { type: 'object' },
    standard: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1 } },
    sentence: 'How agents are replaced: one node at a time.',
  },
  'operator.resources': {
    schema: resources,
    standard: { requests: { cpu: '10m', memory: '90Mi' } },
    sentence: 'Of the operator.',
  },
  'operator.nodeSelector': { schema: labels, standard: linux, sentence: 'Nodes on which the operator may run.' },
  'operator.tolerations': {
    schema: objects,
    standard: everywhere,
    sentence: 'Of the operator, which gives nodes their pod CIDRs: it must run before they have a network.',
  },
};
