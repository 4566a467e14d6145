import { join } from 'node:path';
import { Command, Option } from 'commander';
import { CommandError } from '../command-error.ts';
import { type Context, globalOptions } from '../context.ts';
import { counted, show } from '../output.ts';

const TEXT = `
After \`helm uninstall\` a node keeps programs and maps, so that its pods stay connected: drain it, then remove them with this.
It is refused while an agent runs. Root, in the node's network namespace; in the agent's image, where the node's folders are
mounted elsewhere, --root says where.

--kube-proxy removes instead what kube-proxy has left in nftables and iptables, that of the kernel's older interface (legacy)
as well; chains of the kubelet and of others stay. It is refused while kube-proxy runs, and works beside a running agent.

Examples:
  sluice cleanup --dry-run
  sluice cleanup
  sluice cleanup --pods                 with the devices of pods that are still there
  sluice cleanup --kube-proxy --dry-run
  kubectl -n kube-system exec ds/sluice -- sluice cleanup --kube-proxy    that pod's node
  sluice cleanup -o json | jq '.[] | select(.outcome == "failed")'`;

interface Options {
  readonly dryRun?: boolean;
  readonly pods?: boolean;
  readonly kubeProxy?: boolean;
  readonly root: string;
  readonly bpffs?: string;
  readonly runDir?: string;
  readonly stateDir?: string;
  readonly cniConfig?: string;
  readonly cniPlugin?: string;
  readonly proc: string;
  readonly sys?: string;
}

export function cleanupCommand(context: Context): Command {
  return new Command('cleanup')
    .description('Remove from this node what an uninstalled Sluice, or kube-proxy, has left')
    .option('--dry-run', 'say what would be removed, and remove nothing')
    .option('--pods', "remove pods' devices as well: those that still run lose their network")
    .option('--kube-proxy', "remove kube-proxy's chains, tables and rules, and nothing of Sluice")
    .option('--root <path>', 'where the root folder of the node is', '/')
    .option('--bpffs <path>', 'default: sys/fs/bpf below the root; programs and maps are pinned there')
    .option('--run-dir <path>', 'default: run/sluice below the root; as the agent was told')
    .option('--state-dir <path>', 'default: var/lib/sluice below the root; as the agent was told')
    .option('--cni-config <path>', 'default: etc/cni/net.d/05-sluice.conflist below the root')
    .option('--cni-plugin <path>', 'default: opt/cni/bin/sluice-cni below the root')
    .addOption(new Option('--proc <path>', 'where the node has /proc').default('/proc').hideHelp())
    .addOption(new Option('--sys <path>', 'where the node has /sys').hideHelp())
    .addHelpText('after', TEXT)
    .action(async (options: Options, command: Command) => {
      if (options.kubeProxy && options.pods)
        throw new CommandError('--pods is of Sluice, --kube-proxy of another: give one of them', { exitCode: 2 });
      // Loaded here: it reads the kernel by FFI, which no other command of this program needs.
      const { cleanUpKubeProxy, cleanUpSluice, removalText } = await import('../cleaning.ts');
      const isDryRun = options.dryRun ?? false;
      const removals = options.kubeProxy
        ? cleanUpKubeProxy({ proc: options.proc, isDryRun })
        : cleanUpSluice({ ...placesOf(options), withPods: options.pods ?? false, isDryRun });
      show(context, globalOptions(command, context).output, { data: removals, text: () => removalText(removals) });
      const failed = removals.filter(({ outcome }) => outcome === 'failed').length;
      if (failed > 0)
        throw new CommandError(`${counted(failed, 'thing')} could not be removed; the lines above say why`);
    });
}

function placesOf({ root, sys = join(root, 'sys'), ...given }: Options) {
  return {
    sys,
    bpffs: given.bpffs ?? join(root, 'sys/fs/bpf'),
    runDir: given.runDir ?? join(root, 'run/sluice'),
    stateDir: given.stateDir ?? join(root, 'var/lib/sluice'),
    cniConfig: given.cniConfig ?? join(root, 'etc/cni/net.d/05-sluice.conflist'),
    cniPlugin: given.cniPlugin ?? join(root, 'opt/cni/bin/sluice-cni'),
  };
}
