/** For tests: the answer of an agent that is well, on the node k8s-cp1. */
import type { StatusReport } from '@sluice/agent';

export const statusReport: StatusReport = {
  node: 'k8s-cp1',
  version: '0.1.0',
  startedAt: Date.now() - 90_000,
  kernel: '6.8.0',
  kubernetes: {
    state: 'ok',
    server: 'https://10.10.30.10:6443',
    version: 'v1.35.0',
    clockAheadMs: 0,
    lastError: undefined,
    watches: [{ kind: 'v1/Service', synced: true, objects: 40, off: undefined, lastError: undefined }],
  },
  kubeProxyReplacement: {
    enabled: true,
    why: undefined,
    devices: [{ name: 'eno1', addresses: ['10.10.30.101'], why: 'named by the option devices' }],
    hooks: [{ name: 'sock_connect4', attached: true, why: undefined }],
  },
  cni: { state: 'ok', socket: '/run/sluice/cni.sock', configFile: undefined, why: undefined },
  ipam: [{ family: 4, prefix: '10.244.0.0/24', allocated: 5, total: 254 }],
  routing: {
    network: 'Tunnel [vxlan]',
    host: 'BPF',
    hostWhy: undefined,
    mtu: 1450,
    routes: [{ node: 'k8s-cp2', podCidrs: ['10.244.1.0/24'], tunnelEndpoint: '10.10.30.102', mtu: 1450 }],
  },
  devices: [
    { name: 'eno1', mtu: 1500, addresses: ['10.10.30.101'], selected: true, why: 'has a default route' },
    { name: 'lo', mtu: 65_536, addresses: ['127.0.0.1'], selected: false, why: 'loopback' },
  ],
  attachMode: 'TCX',
  masquerading: {
    state: 'ok',
    why: undefined,
    ipv4: true,
    ipv6: false,
    devices: [{ name: 'eno1', addresses: ['10.10.30.101'] }],
  },
  controllers: { total: 2, healthy: 2, list: [] },
  modules: [{ name: 'l2-announcements', state: 'off', why: '1 policy is stored, nothing acts on it yet' }],
  maps: [
    { name: 'frontends', type: 'hash', entries: 60, maxEntries: 100, bytes: 4096 },
    { name: 'affinities', type: 'lru_hash', entries: 100, maxEntries: 100, bytes: 4096 },
  ],
  foreignRules: [],
  foreignRulesUnknown: undefined,
  foreignPrograms: [],
  foreignProgramsUnknown: undefined,
  nodes: [{ name: 'k8s-cp1', local: true, addresses: ['10.10.30.101'], state: 'reachable', why: undefined }],
  drops: [
    { reason: 'No backend', direction: 'egress', packets: 3, bytes: 180, hint: 'the service has no ready endpoint' },
  ],
  forwarded: [],
  kernelDropsMissed: 0,
  eventsLost: 0,
  eventsWithheld: 0,
  tracesWithheld: 0,
  configurationWarnings: [],
};
