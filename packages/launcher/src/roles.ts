import type { Capability } from './capability.ts';

export interface Role {
  /** Below `dist/`. */
  readonly script: string;
  /** What the process keeps, and what it needs each for. */
  readonly capabilities: Partial<Readonly<Record<Capability, string>>>;
  /** Whether it goes on with fewer, as the command line does in somebody's shell. */
  readonly acceptsFewer: boolean;
}

/** Measured: without any one of them the agent does not start. BPF and PERFMON are not among them: SYS_ADMIN implies both. */
const agentCapabilities = {
  NET_ADMIN: 'attach programs to devices and cgroups, and make devices, addresses, routes and settings of the network',
  NET_RAW: 'send echo requests to other nodes and probes for address conflicts',
  SYS_ADMIN:
    'load BPF programs, and open maps, programs and links by their ids: its own of the run before, and others at its hooks',
} as const;

/** Every process of ours that runs in a cluster, by the name that its command has after `sluice-`. */
export const roles = {
  agent: { script: 'agent.js', capabilities: agentCapabilities, acceptsFewer: false },
  operator: { script: 'operator.js', capabilities: {}, acceptsFewer: false },
  /** `sluice` itself: what it asks of the kernel it asks as the agent does. */
  cli: { script: 'sluice.js', capabilities: agentCapabilities, acceptsFewer: true },
} as const satisfies Record<string, Role>;

export type RoleName = keyof typeof roles;
