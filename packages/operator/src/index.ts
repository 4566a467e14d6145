/**
 * The operator: what a cluster needs once and not on each node. Now it gives pod CIDRs to nodes that have none; of
 * several operators one leads, by a Lease. Nothing that a node needs to go on forwarding waits for it.
 * Begin with `operator.ts`; `pools.ts` decides who gets what.
 */
export { type Operator, type OperatorOptions, startOperator } from './operator.ts';
export { type Assignment, type Neighbour, type PoolPlan, planPodCidrs } from './pools.ts';
