import type { Capability } from './capability.ts';

export interface Role {
  /** Below `dist/`. */
  readonly script: string;
  /** What the process keeps, and what it needs each for. */
  readonly capabilities: Partial<Readonly<Record<Capability, string>>>;
  /** Whether it goes on with fewer, as the command line does in somebody's shell. */
  readonly acceptsFewer: boolean;
}

const agentCapabilities = {
  BPF: 'load programs and make maps',
  PERFMON: 'load programs that read kernel memory (tracing of drops, packet pointers)',
  NET_ADMIN:
    'attach programs to devices and cgroups; devices, addresses, routes and neighbours by rtnetlink; settings below /proc/sys/net',
  NET_RAW: 'packet sockets: echo requests to other nodes, probes for address conflicts',
  SYS_ADMIN: 'open maps, programs and links by their ids, our own of the run before and those of others at our hooks',
} as const;

/** Every process of ours that runs in a cluster, by the name that its command has after `sluice-`. */
export const roles = {
  agent: { script: 'agent.js', capabilities: agentCapabilities, acceptsFewer: false },
  operator: { script: 'operator.js', capabilities: {}, acceptsFewer: false },
  /** `sluice` itself: what it asks of the kernel it asks as the agent does. */
  cli: { script: 'sluice.js', capabilities: agentCapabilities, acceptsFewer: true },
} as const satisfies Record<string, Role>;

export type RoleName = keyof typeof roles;
