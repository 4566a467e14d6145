import type { MachineFacts, Usage } from '../facts/machine-facts.ts';
import type { Check, Complaint } from '../finding.ts';

/** What else the machine must have: filesystems, room, and the right time. */
export const machineChecks: readonly Check<MachineFacts>[] = [
  { name: 'cgroup-v2', look: cgroupCheck },
  { name: 'open-files', look: openFilesCheck },
  { name: 'tasks', look: tasksCheck },
  { name: 'clock', look: clockCheck },
];

export function cgroupPathOf({ mounts }: Pick<MachineFacts, 'mounts'>): string | undefined {
  // The whole tree rather than a bind mount of a part of it, and of two whole ones the first mounted.
  const mounted = mounts.filter(({ type }) => type === 'cgroup2');
  return (mounted.find(({ root }) => root === '/') ?? mounted[0])?.path;
}

function cgroupCheck(facts: MachineFacts): Complaint[] {
  const path = cgroupPathOf(facts);
  if (path === undefined) {
    return [
      {
        severity: 'error',
        what: 'cgroup v2 is not mounted',
        meaning: 'there is nowhere to attach the programs that translate services at sockets',
        remedy: 'mount -t cgroup2 none /sys/fs/cgroup (or /sys/fs/cgroup/unified beside cgroup v1)',
      },
    ];
  }
  if (!facts.mounts.some(({ type }) => type === 'cgroup')) return [];
  return [
    {
      severity: 'note',
      what: `cgroup v1 is mounted as well, version 2 is at ${path}`,
      meaning: 'Sluice works; the kubelet of Kubernetes 1.35 and later does not run on cgroup v1',
      remedy: 'boot with systemd.unified_cgroup_hierarchy=1',
    },
  ];
}

/** 110 pods with a link each, maps, programs, watches: some 400; twice of that is no luxury. */
const openFilesNeeded = 1024;
const fillMax = 0.8;

function openFilesCheck({ openFilesMax, files }: MachineFacts): Complaint[] {
  const few: Complaint[] =
    openFilesMax >= openFilesNeeded
      ? []
      : [
          {
            severity: 'warning',
            what: `a process may have ${openFilesMax} open files`,
            meaning: 'the agent holds a descriptor for each pod, map and program: with many pods ADD fails',
            remedy: `LimitNOFILE=${openFilesNeeded * 64} for the container runtime (systemctl edit containerd), or: ulimit -n ${openFilesNeeded * 64}`,
          },
        ];
  return [...few, ...fullComplaint(files, { what: 'open files', setting: 'fs.file-max' })];
}

function tasksCheck({ tasks, settings }: MachineFacts): Complaint[] {
  const pidMax = Number(settings['kernel/pid_max'] ?? Number.POSITIVE_INFINITY);
  const max = tasks && Math.min(tasks.max, pidMax);
  const setting = max === pidMax ? 'kernel.pid_max' : 'kernel.threads-max';
  return fullComplaint(tasks && { used: tasks.used, max: max ?? 0 }, { what: 'processes and threads', setting });
}

function fullComplaint(usage: Usage | undefined, { what, setting }: { what: string; setting: string }): Complaint[] {
  if (usage === undefined || usage.max <= 0 || usage.used < fillMax * usage.max) return [];
  return [
    {
      severity: 'warning',
      what: `${usage.used} of ${usage.max} ${what} are in use`,
      meaning: 'beyond that nothing starts any more, neither pods nor the agent',
      remedy: `sysctl -w ${setting}=${usage.max * 2}, and look who has so many`,
    },
  ];
}

// Certificates of a cluster that runs this are from later.
const earliest = Date.UTC(2026, 0);

function clockCheck({ clock, now }: MachineFacts): Complaint[] {
  const remedy = 'timedatectl set-ntp true, or: apt-get install chrony';
  if (now < earliest) {
    const what = `the clock says ${new Date(now).toISOString()}`;
    return [
      {
        severity: 'error',
        what,
        meaning: 'no certificate is valid at that time: the API server is not believed',
        remedy,
      },
    ];
  }
  if (clock.isSynchronised) return [];
  return [
    {
      severity: 'warning',
      what: 'the clock is not synchronised: nobody keeps it right',
      meaning:
        "leases are given up too early or too late, certificates are not valid yet or no more, and nodes' logs do not fit",
      remedy,
    },
  ];
}
