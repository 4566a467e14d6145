import { join } from 'node:path';
import type { NetworkFacts } from '../facts/network-facts.ts';
import type { Check, Complaint } from '../finding.ts';

/** What others do, or have left, in the network of this node. */
export const otherChecks: readonly Check<NetworkFacts>[] = [
  { name: 'rival-processes', look: rivalCheck },
  { name: 'leftover-devices', look: leftoverDeviceCheck },
  { name: 'foreign-rules', look: ruleCheck },
  { name: 'ipvs', look: ipvsCheck },
  { name: 'foreign-programs', look: programCheck },
  { name: 'foreign-filters', look: filterCheck },
  { name: 'kernel-conntrack', look: conntrackCheck },
  { name: 'cni-configuration', look: cniCheck },
];

function rivalCheck({ rivals }: NetworkFacts): Complaint[] {
  return rivals.map((name) => ({
    severity: 'warning',
    what: `${name} runs here`,
    meaning:
      name === 'kube-proxy'
        ? 'services are translated twice, by it and by Sluice, with different choices of backends'
        : 'two networks connect the same pods, and undo what the other does',
    remedy:
      name === 'kube-proxy'
        ? 'kubectl -n kube-system delete daemonset kube-proxy, then on each node: sluice cleanup --kube-proxy'
        : `remove it from the cluster, then its devices, rules and /etc/cni/net.d file on each node`,
  }));
}

const leftovers: readonly (readonly [pattern: RegExp, owner: string])[] = [
  [/^cilium_(host|net|vxlan|geneve)$|^lxc[0-9a-f]{12}$|^lxc_health$/, 'Cilium'],
  [/^flannel(\.|-)/, 'flannel'],
  [/^cni\d+$/, 'the CNI bridge plugin'],
  [/^(cali[0-9a-f]{11}|vxlan\.calico|wireguard\.cali)$/, 'Calico'],
  [/^kube-ipvs0$/, 'kube-proxy (IPVS)'],
  [/^kube-bridge$/, 'kube-router'],
  [/^(weave|datapath|vethwe.*)$/, 'Weave Net'],
  [/^(antrea-gw0|genev_sys_6081|ovn-k8s-mp0)$/, 'Antrea or OVN-Kubernetes'],
];
const devicesNamedMax = 5;

function leftoverDeviceCheck({ links }: NetworkFacts): Complaint[] {
  return leftovers.flatMap(([pattern, owner]): Complaint[] => {
    const names = links.map(({ name }) => name).filter((name) => pattern.test(name));
    if (names.length === 0) return [];
    const more = names.length > devicesNamedMax ? ` and ${names.length - devicesNamedMax} more` : '';
    return [
      {
        severity: 'warning',
        what: `${names.slice(0, devicesNamedMax).join(', ')}${more}: left by ${owner}, or in use by it`,
        meaning: 'its routes and addresses may lead packets of pods past Sluice, and its tunnel may hold the port',
        remedy: names
          .slice(0, devicesNamedMax)
          .map((name) => `ip link delete ${name}`)
          .join('; '),
      },
    ];
  });
}

type Rules = NetworkFacts['foreignRules'][number];

/** Owners whose rules serve the same pods and services. */
const rivals = new Set(['kube-proxy', 'cilium', 'calico', 'flannel', 'CNI plugins']);
const firewalls = new Set(['firewalld', 'ufw']);

function ruleCheck({ foreignRules, foreignRulesUnknown, settings }: NetworkFacts): Complaint[] {
  if (foreignRulesUnknown !== undefined) {
    const remedy = 'nft list ruleset; iptables-save';
    const meaning = 'rules that drop or translate what pods send would not be seen';
    return [{ severity: 'note', what: `rules could not be counted: ${foreignRulesUnknown}`, meaning, remedy }];
  }
  return foreignRules.map((rules) => ruleComplaint(rules, settings.tunnelPort));
}

function ruleComplaint(rules: Rules, tunnelPort: number): Complaint {
  const what = `${rules.count} ${rules.kind} rule${rules.count === 1 ? '' : 's'} of ${rules.owner}`;
  if (firewalls.has(rules.owner)) {
    return {
      severity: 'warning',
      what: `${what}: a firewall is active`,
      meaning: `it drops the tunnel's packets (UDP ${tunnelPort}) between nodes unless it is told to let them in`,
      remedy:
        rules.owner === 'ufw'
          ? `ufw allow ${tunnelPort}/udp && ufw route allow in on sluice_host && ufw route allow out on sluice_host`
          : `firewall-cmd --permanent --add-port=${tunnelPort}/udp && firewall-cmd --permanent --zone=trusted --add-interface=sluice_host && firewall-cmd --reload`,
    };
  }
  if (rivals.has(rules.owner)) {
    return {
      severity: 'warning',
      what,
      meaning: "they translate or drop what passes the host's stack, before or after Sluice",
      remedy: removal(rules),
    };
  }
  return {
    severity: 'note',
    what,
    meaning: "packets of pods pass them only on the way through the host's stack; Sluice makes no rule itself",
    remedy: rules.kind === 'nftables' ? 'nft list ruleset' : 'iptables-save; ip6tables-save',
  };
}

function removal({ kind, owner }: Rules): string {
  if (owner === 'kube-proxy') return 'sluice cleanup --kube-proxy; with --dry-run it only says what it would remove';
  if (kind === 'nftables') return `nft list tables, then nft delete table for those of ${owner}`;
  const pattern = owner === 'CNI plugins' ? 'CNI-' : owner;
  return `iptables-save | grep -vi '${pattern}' | iptables-restore; the same with ip6tables`;
}

function ipvsCheck({ ipvsServices }: NetworkFacts): Complaint[] {
  if (ipvsServices === 0) return [];
  return [
    {
      severity: 'warning',
      what: `IPVS has ${ipvsServices} services`,
      meaning: "left by kube-proxy, or in use by it: what passes the host's stack is translated there",
      remedy: 'ipvsadm --clear; ip link delete kube-ipvs0',
    },
  ];
}

function programCheck({ programs, programsUnknown }: NetworkFacts): Complaint[] {
  const unknown: Complaint[] =
    programsUnknown === undefined
      ? []
      : [
          {
            severity: 'note',
            what: `programs of others could not be looked for: ${programsUnknown}`,
            meaning: 'one that runs before ours may drop or redirect what we never see',
            remedy: 'bpftool net; bpftool cgroup tree',
          },
        ];
  return [...unknown, ...programs.map(programComplaint)];
}

function programComplaint({ name, id, hook, device }: NetworkFacts['programs'][number]): Complaint {
  return {
    severity: 'warning',
    what: `BPF program ${name || 'without a name'} (id ${id}) of somebody else is at ${hook}`,
    meaning: 'it runs in the way of our packets or sockets, and what it drops or redirects we do not see',
    remedy:
      device === undefined
        ? `bpftool prog show id ${id}; bpftool cgroup tree`
        : `bpftool prog show id ${id}; bpftool net show dev ${device}; whoever attached it must detach it`,
  };
}

/** One complaint a device and hook: a firewall has a hundred of them. */
function filterCheck({ filters }: NetworkFacts): Complaint[] {
  const places = Map.groupBy(filters, ({ device, hook }) => `${hook} of ${device}`);
  return [...places].map(([place, found]) => {
    const [{ device, hook } = { device: '', hook: 'ingress' }] = found;
    return {
      severity: 'warning',
      what: `${filterNames(found)} of tc at ${place}`,
      meaning:
        "our programs (TCX) come before it, and it sees only what they hand on to the host's stack: of what goes to and from pods and services it limits, drops and counts nothing",
      remedy: `tc filter show dev ${device} ${hook}; whoever made it must do without, or attach by TCX`,
    };
  });
}

/** `filter bpf fw (id 7)`, `3 filters (bpf, u32)`. */
function filterNames(filters: NetworkFacts['filters']): string {
  const [first] = filters;
  if (filters.length > 1 || first === undefined) {
    return `${filters.length} filters (${[...new Set(filters.map(({ kind }) => kind))].join(', ')})`;
  }
  const { kind, program } = first;
  return `filter ${kind}${program === undefined ? '' : ` ${program.name || 'without a name'} (id ${program.id})`}`;
}

const fillMax = 0.8;

/** Ours has nothing to do with it; whoever tracks by rules does. */
function conntrackCheck({ conntrack }: NetworkFacts): Complaint[] {
  if (conntrack === undefined || conntrack.used < fillMax * conntrack.max) return [];
  return [
    {
      severity: 'warning',
      what: `the kernel's own connection tracking has ${conntrack.used} of ${conntrack.max} entries`,
      meaning:
        "Sluice does not use it, but what passes the host's stack does: when it is full those packets are dropped",
      remedy: `sysctl -w net.netfilter.nf_conntrack_max=${conntrack.max * 2}`,
    },
  ];
}

function cniCheck({ cniFiles, settings }: NetworkFacts): Complaint[] {
  const { cniDirectory, cniFile } = settings;
  const others = cniFiles.filter((name) => name !== cniFile);
  if (others.length === 0) return [];
  const isOurs = cniFiles.includes(cniFile);
  const before = others.filter((name) => name < cniFile);
  const remedy = `rm ${others.map((name) => join(cniDirectory, name)).join(' ')}`;
  if (before.length > 0) {
    return [
      {
        severity: isOurs ? 'error' : 'warning',
        what: `${before.join(', ')} in ${cniDirectory} comes before ${cniFile}`,
        meaning: 'the container runtime takes the first file: pods are connected by that one and not by Sluice',
        remedy,
      },
    ];
  }
  return [
    {
      severity: 'note',
      what: `${others.join(', ')} in ${cniDirectory}: of another network`,
      meaning: `should ${cniFile} be missing for a moment, the container runtime connects pods by it`,
      remedy,
    },
  ];
}
