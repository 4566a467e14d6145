import type { MachineFacts } from '../facts/machine-facts.ts';
import type { Check } from '../finding.ts';

/** Not for a lab, which mounts one for itself. */
export const bpffsCheck: Check<MachineFacts> = {
  name: 'bpffs',
  look: ({ mounts }) =>
    mounts.some(({ type }) => type === 'bpf')
      ? []
      : [
          {
            severity: 'warning',
            what: 'no BPF filesystem is mounted',
            meaning:
              "pins would be made in the agent's own mount namespace, and be lost with its container: traffic stops",
            remedy: 'mount -t bpf bpf /sys/fs/bpf; systemd does it on most distributions',
          },
        ],
};
