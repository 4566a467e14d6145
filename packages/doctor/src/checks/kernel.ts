import { isVersionAtLeast } from '@sluice/bpf';
import type { MachineFacts } from '../facts/machine-facts.ts';
import type { Check, Complaint, Severity } from '../finding.ts';

/** What the kernel must have, by its probes and settings. */
export const kernelChecks: readonly Check<MachineFacts>[] = [
  { name: 'root', look: rootCheck },
  { name: 'kernel-version', look: versionCheck },
  { name: 'kernel-features', look: featureCheck },
  { name: 'kernel-modules', look: moduleCheck },
  { name: 'bpf-jit', look: jitCheck },
  { name: 'unprivileged-bpf', look: unprivilegedCheck },
  { name: 'kernel-lockdown', look: lockdownCheck },
  { name: 'security-module', look: securityModuleCheck },
];

const floor = '6.6';
const newerKernel =
  'boot a newer kernel; Debian 12: apt-get install -t bookworm-backports linux-image-amd64; Debian 13 and Ubuntu 24.04 have one';

function rootCheck({ isRoot }: MachineFacts): Complaint[] {
  if (isRoot) return [];
  return [
    {
      severity: 'error',
      what: 'this is not root',
      meaning:
        'programs cannot be loaded, network namespaces cannot be made, and the kernel is not asked what it can do',
      remedy: 'run it with sudo; in a container: give it all privileges (CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_BPF)',
    },
  ];
}

/** An older one that has what we need, as distributions for enterprises do, is good enough: the features tell. */
function versionCheck({ release, features }: MachineFacts): Complaint[] {
  const hasTcx = features?.some(({ name, supported }) => name === 'TCX link' && supported);
  if (hasTcx || isVersionAtLeast(/^\d+\.\d+/.exec(release)?.[0] ?? '0', floor)) return [];
  return [
    {
      severity: 'error',
      what: `the kernel is ${release}, needed is >= ${floor}`,
      meaning: 'TCX links came with 6.6: without them no program can be attached to a device',
      remedy: newerKernel,
    },
  ];
}

/** Of the features that are probed, those that something of ours needs, and what goes without. */
const needed: Readonly<Record<string, readonly [severity: Severity, without: string]>> = {
  BTF: ['error', 'no program of ours can be loaded'],
  'kernel BTF': ['error', 'the kernel tells nobody its types, which programs are fitted to'],
  'socket storage': ['error', 'services cannot be translated at sockets'],
  'socket storage in socket hooks': ['error', 'services cannot be translated at sockets'],
  'global functions': ['error', 'the programs of packets cannot be verified'],
  'batches on hash maps': ['error', 'services and addresses cannot be written'],
  'cgroup link': ['error', 'services cannot be translated at sockets'],
  'network namespace cookie in socket hooks': ['error', 'affinity cannot know its client at the socket'],
  'ring buffer': ['error', 'the agent learns of no drop and no connection'],
  iterators: ['error', '"sluice map list" cannot count'],
  bpf_redirect_neigh: ['error', 'pods do not reach the world'],
  bpf_redirect_peer: ['error', 'nothing reaches a pod'],
  'batches on tries': ['error', "other nodes' pod CIDRs cannot be written"],
  'return value of socket hooks': ['error', 'a connection to a service without backends cannot be refused'],
  'TCX link': ['error', 'no program can be attached to a device'],
  'typed tracepoints': ['warning', 'what the kernel itself drops is not seen'],
  'packet drop reasons': ['warning', 'what the kernel itself drops is not seen'],
  'syscall programs': ['warning', '"sluice explain" cannot ask what the socket hooks would choose'],
};

export function neededFeatures(): string[] {
  return Object.keys(needed);
}

function featureCheck({ features = [] }: MachineFacts): Complaint[] {
  return features.flatMap(({ name, supported, since, why }): Complaint[] => {
    const need = needed[name];
    if (supported || need === undefined) return [];
    const [severity, without] = need;
    const what = `the kernel does not support ${name}${why ? ` (${why})` : ''}`;
    const remedy = `boot a kernel of at least ${since} that is built with it (CONFIG_BPF_SYSCALL, CONFIG_DEBUG_INFO_BTF, CONFIG_CGROUP_BPF)`;
    return [{ severity, what, meaning: without, remedy }];
  });
}

function moduleCheck({ modules, release }: MachineFacts): Complaint[] {
  const missing = modules ? (['vxlan', 'veth'] as const).filter((name) => !modules[name]) : [];
  return missing.map((name) => ({
    severity: 'error',
    what: `the kernel has no module ${name}`,
    meaning: name === 'vxlan' ? 'there is no tunnel between nodes' : 'pods cannot be connected',
    remedy: `install the modules of ${release}; Debian: linux-image-amd64 instead of linux-image-cloud-amd64, Ubuntu: apt-get install linux-modules-extra-${release}`,
  }));
}

function jitCheck({ settings }: MachineFacts): Complaint[] {
  const enabled = settings['net/core/bpf_jit_enable'];
  const harden = settings['net/core/bpf_jit_harden'];
  const remedy = 'sysctl -w net.core.bpf_jit_enable=1, and the same in /etc/sysctl.d';
  if (enabled === '0') {
    const meaning = 'programs are interpreted, several times slower, and those that call kernel functions are refused';
    return [
      { severity: 'error', what: 'BPF programs are not compiled (net.core.bpf_jit_enable is 0)', meaning, remedy },
    ];
  }
  if (enabled === '2') {
    const meaning = 'every program is printed into the kernel log as it is loaded: for debugging only';
    return [{ severity: 'warning', what: 'net.core.bpf_jit_enable is 2', meaning, remedy }];
  }
  if (harden !== '2') return [];
  return [
    {
      severity: 'note',
      what: 'net.core.bpf_jit_harden is 2',
      meaning: 'programs of root are hardened too, which costs every packet some time',
      remedy: 'sysctl -w net.core.bpf_jit_harden=1 where only root loads programs',
    },
  ];
}

function unprivilegedCheck({ settings }: MachineFacts): Complaint[] {
  if (settings['kernel/unprivileged_bpf_disabled'] !== '0') return [];
  return [
    {
      severity: 'warning',
      what: 'every user may load BPF programs (kernel.unprivileged_bpf_disabled is 0)',
      meaning: 'a way to read the memory of others by speculation; Sluice does not need it',
      remedy: 'sysctl -w kernel.unprivileged_bpf_disabled=2, and the same in /etc/sysctl.d',
    },
  ];
}

function lockdownCheck({ lockdown }: MachineFacts): Complaint[] {
  if (lockdown !== 'confidentiality') return [];
  return [
    {
      severity: 'warning',
      what: 'the kernel is locked down (confidentiality)',
      meaning: "programs may not read the kernel's memory: what the kernel itself drops is not seen",
      remedy: 'boot with lockdown=integrity',
    },
  ];
}

function securityModuleCheck({ selinuxEnforcing }: MachineFacts): Complaint[] {
  if (!selinuxEnforcing) return [];
  return [
    {
      severity: 'note',
      what: 'SELinux enforces',
      meaning: "the agent's container must run as spc_t, or bpf(2) is refused",
      remedy: 'keep seLinuxOptions.type: spc_t in the DaemonSet; refusals: ausearch -m avc -c node',
    },
  ];
}
