// A node on which nothing hurts; tests change what they are about.
import { parseAddress } from '@sluice/net';
import type { Device } from '@sluice/nodes';
import type { AgentFacts } from '../src/facts/agent-facts.ts';
import type { MachineFacts } from '../src/facts/machine-facts.ts';
import type { NetworkFacts } from '../src/facts/network-facts.ts';
import { nodeSettingsDefault } from '../src/node-settings.ts';

export const machine: MachineFacts = {
  isRoot: true,
  release: '6.18.44-amd64',
  features: [{ name: 'TCX link', since: '6.6', supported: true }],
  mounts: [
    { root: '/', path: '/sys/fs/cgroup', type: 'cgroup2' },
    { root: '/', path: '/sys/fs/bpf', type: 'bpf' },
  ],
  modules: { vxlan: true, veth: true },
  settings: {
    'net/core/bpf_jit_enable': '1',
    'net/core/bpf_jit_harden': '0',
    'kernel/unprivileged_bpf_disabled': '2',
    'kernel/pid_max': '4194304',
  },
  clock: { isSynchronised: true, errorMaxMs: 3 },
  now: Date.UTC(2026, 10, 26),
  lockdown: 'none',
  selinuxEnforcing: false,
  openFilesMax: 1_048_576,
  files: { used: 2_000, max: 9_000_000 },
  tasks: { used: 500, max: 60_000 },
};

export const eth0: Device = {
  name: 'eth0',
  ifindex: 2,
  mtu: 1500,
  kind: undefined,
  up: true,
  addresses: [parseAddress('10.10.30.101')],
  sources: [],
  selected: true,
  why: 'has a default route',
};

export const network: NetworkFacts = {
  settings: nodeSettingsDefault,
  links: [
    { name: 'lo', ifindex: 1, mtu: 65_536 },
    { name: 'eth0', ifindex: 2, mtu: 1500 },
    { name: 'sluice_host', ifindex: 3, mtu: 1500, kind: 'veth' },
    { name: 'sluice_vxlan', ifindex: 4, mtu: 1450, kind: 'vxlan', vxlan: { port: 8472, external: true, id: 0 } },
  ],
  devices: [eth0],
  ipv4Settings: {
    'all/forwarding': '1',
    'all/rp_filter': '0',
    'eth0/rp_filter': '0',
    'sluice_host/rp_filter': '0',
  },
  ipv6Settings: { 'all/forwarding': '1', 'all/disable_ipv6': '0' },
  neighbours: { 4: { used: 5, max: 1024 }, 6: { used: 5, max: 1024 } },
  localPorts: '32768\t60999',
  reservedPorts: '',
  conntrack: undefined,
  ipvsServices: 0,
  foreignRules: [],
  foreignRulesUnknown: undefined,
  programs: [],
  filters: [],
  programsUnknown: undefined,
  tunnelPortHolders: [],
  agentPortHolders: [],
  cniFiles: ['05-sluice.conflist'],
  rivals: [],
};

export const agent: AgentFacts = {
  kubernetes: { state: 'ok', server: 'https://10.10.30.10:6443', lastError: undefined, clockAheadMs: 400 },
  cni: { state: 'ok', why: undefined },
  modules: [
    { name: 'datapath', state: 'ok', why: undefined },
    { name: 'l7-proxy', state: 'off', why: 'no proxy runs yet' },
  ],
  controllers: { list: [{ name: 'node-probe', consecutiveFailures: 0, lastError: undefined }] },
  nodes: [{ name: 'k8s-cp2', state: 'reachable', why: undefined }],
};
