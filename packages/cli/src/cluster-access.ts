import { createKubeClient, type KubeClient, type KubeConfiguration, readKubeconfig } from '@sluice/kube';
import { CommandError } from './command-error.ts';
import type { Context } from './context.ts';

/** A cluster's API server, as a kubeconfig names it. */
export interface ClusterAccess {
  readonly configuration: KubeConfiguration;
  readonly client: KubeClient;
}

export function openCluster(kubeconfig: string): ClusterAccess {
  try {
    const configuration = readKubeconfig(kubeconfig);
    return { configuration, client: createKubeClient(configuration) };
  } catch (error) {
    throw new CommandError(error instanceof Error ? error.message : String(error), { exitCode: 2, cause: error });
  }
}

/** The one that was given, or that of the environment; undefined: neither. */
export function kubeconfigOf(given: string | undefined, { environment }: Context): string | undefined {
  return given ?? (environment.KUBECONFIG || undefined);
}
