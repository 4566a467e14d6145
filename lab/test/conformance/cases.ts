/** In the order in which they run: what later ones take away is still there for those before. */
import { affinityCases } from './cases/affinity.ts';
import { changeCases } from './cases/changes.ts';
import { policyCases } from './cases/policies.ts';
import { wayInCases } from './cases/ways-in.ts';
import type { UpstreamCase } from './upstream-case.ts';

export const conformanceCases: readonly UpstreamCase[] = [
  ...wayInCases,
  ...affinityCases,
  ...policyCases,
  ...changeCases,
];
