/**
 * The operator: what a cluster needs once and not on each node. It gives pod CIDRs to nodes that have none, and numbers
 * to the label sets of pods; of several operators one leads, by a Lease. Nothing that a node needs to go on forwarding
 * waits for it. Begin with `operator.ts`; `pools.ts` decides who gets what, `identities/` what pods are known by.
 */
export { type Operator, type OperatorOptions, startOperator } from './operator.ts';
export { type Assignment, type Neighbour, type PoolPlan, planPodCidrs } from './pools.ts';
