/**
 * The agent: one a node. It wires sources, tables, features and the kernel together, in order, and answers on a unix
 * socket. It holds no logic of its own that a feature could hold. Begin with `agent.ts`; `report.ts` is what it tells.
 */

export { recommendedEnvironment, recommendedNodeFlags } from '@sluice/launcher';
export type {
  BackendReport,
  BothWays,
  ConfigReport,
  ConnectionReport,
  ExplainReport,
  ExplainStep,
  IdentityRow,
  IpListRow,
  MaglevReport,
  MapRow,
  MapUsage,
  MonitorDrop,
  MonitorEvent,
  MonitorTrace,
  NamedAddress,
  NamedEnd,
  NatPortsReport,
  ProgramUsage,
  ServiceEndpointReport,
  ServiceExplainReport,
  ServiceExplainStep,
  ServicePlaceBackend,
  ServicePlaceReport,
  State,
  StatusReport,
  TableHead,
  TableLine,
} from './report.ts';
