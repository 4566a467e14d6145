import { join } from 'node:path';
import { countIpvs, findRivals, listenersAt } from '@sluice/doctor';
import { readFileIfPresent } from '@sluice/runtime';
import { CleanupError } from '../cleanup-error.ts';
import { type Removal, removeAll } from '../leftover.ts';
import { kubeProxyLegacyChains } from './legacy.ts';
import { kubeProxyNftChains, kubeProxyTables } from './nftables.ts';

export interface KubeProxyOptions {
  readonly proc: string;
  readonly isDryRun: boolean;
}

/** Where it serves its metrics, on 127.0.0.1: seen from a container as well, whose /proc shows no process of the node. */
const metricsPort = 10249;

/** Takes kube-proxy's chains, tables and rules out of the calling thread's network namespace; the kubelet's stay. */
export function removeKubeProxyRules({ proc, isDryRun }: KubeProxyOptions): Removal[] {
  if (!isDryRun) refuseWhileItRuns(proc);
  const procPath = join(proc, 'thread-self');
  const rules = [...kubeProxyTables(), ...kubeProxyNftChains(), ...kubeProxyLegacyChains(procPath)];
  const services = countIpvs(readFileIfPresent(join(procPath, 'net/ip_vs')));
  const others =
    services === 0
      ? []
      : [
          {
            kind: 'rules',
            name: `IPVS, ${services} services`,
            detail: 'whose they are is not known: ipvsadm --clear; ip link delete kube-ipvs0',
            remove: undefined,
          } as const,
        ];
  return removeAll([...rules, ...others], { isDryRun });
}

function refuseWhileItRuns(proc: string): void {
  const isRunning = findRivals(proc).includes('kube-proxy') || listenersAt(proc, metricsPort).length > 0;
  if (!isRunning) return;
  throw new CleanupError(
    'kube-proxy runs on this node and would make its rules again: kubectl -n kube-system delete daemonset kube-proxy',
  );
}
