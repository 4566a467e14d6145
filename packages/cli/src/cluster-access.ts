import { createKubeClient, type KubeClient, type KubeConfiguration, readKubeconfig } from '@sluice/kube';
import type { Command } from 'commander';
import { CommandError } from './command-error.ts';
import type { Context } from './context.ts';

/** A cluster's API server, as a kubeconfig names it. */
export interface ClusterAccess {
  readonly configuration: KubeConfiguration;
  readonly client: KubeClient;
}

export interface ClusterOptions {
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** Which cluster is meant. */
export interface ClusterChoice {
  readonly kubeconfig: string;
  /** Undefined: its current one. */
  readonly context: string | undefined;
}

export function addClusterOptions(command: Command, what = 'how to reach the cluster; default: KUBECONFIG'): Command {
  return command
    .option('--kubeconfig <file>', what)
    .option('--context <name>', 'of the kubeconfig; default: its current one');
}

export function openCluster({ kubeconfig, context }: ClusterChoice): ClusterAccess {
  try {
    const configuration = readKubeconfig(kubeconfig, context);
    return { configuration, client: createKubeClient(configuration) };
  } catch (error) {
    throw new CommandError(error instanceof Error ? error.message : String(error), { exitCode: 2, cause: error });
  }
}

/** The one that was given, or that of the environment; undefined: neither. */
export function chosenCluster(
  { kubeconfig, context }: ClusterOptions,
  { environment }: Context,
): ClusterChoice | undefined {
  const path = kubeconfig ?? (environment.KUBECONFIG || undefined);
  if (path !== undefined) return { kubeconfig: path, context };
  if (context === undefined) return undefined;
  throw new CommandError(`--context ${context}: of which kubeconfig? give --kubeconfig or set KUBECONFIG`, {
    exitCode: 2,
  });
}
