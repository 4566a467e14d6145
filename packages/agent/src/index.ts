/**
 * The agent: one a node. It wires sources, tables, features and the kernel together, in order, and answers on a unix
 * socket. It holds no logic of its own that a feature could hold. Begin with `agent.ts`; `report.ts` is what it tells.
 */

export { recommendedEnvironment, recommendedNodeFlags } from './options.ts';
export type { Page } from './page.ts';
export type {
  BothWays,
  ConnectionReport,
  ExplainReport,
  ExplainStep,
  IdentityRow,
  IpListRow,
  MapUsage,
  MonitorDrop,
  MonitorEvent,
  MonitorTrace,
  NamedEnd,
  ProgramUsage,
  State,
  StatusReport,
  TableReport,
} from './report.ts';
