import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  createKubeClient,
  type KubeClient,
  type KubeConfiguration,
  type ProofSource,
  readKubeconfig,
  readKubeconfigs,
} from '@sluice/kube';
import type { Command } from 'commander';
import { CommandError } from './command-error.ts';
import type { Context } from './context.ts';
import { credentialPlugin } from './credential-plugin.ts';
import { environmentProxy } from './environment-proxy.ts';

/** A cluster's API server, as a kubeconfig names it. */
export interface ClusterAccess {
  readonly configuration: KubeConfiguration;
  readonly client: KubeClient;
  /** What a plugin has told so far of who we are, and nobody else is to know. */
  readonly toldSecrets: readonly string[];
}

export interface ClusterOptions {
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** Which cluster is meant. */
export interface ClusterChoice {
  /** One that was named, or as many as make one, of which some may not be there. */
  readonly kubeconfig: string | readonly string[];
  /** Undefined: its current one. */
  readonly context: string | undefined;
}

export function addClusterOptions(
  command: Command,
  what = 'how to reach the cluster; default: KUBECONFIG, which may be several, or ~/.kube/config',
): Command {
  return command
    .option('--kubeconfig <file>', what)
    .option('--context <name>', 'of the kubeconfig; default: its current one');
}

export function openCluster({ kubeconfig, context }: ClusterChoice, of: Context): ClusterAccess {
  try {
    const read =
      typeof kubeconfig === 'string' ? readKubeconfig(kubeconfig, context) : readKubeconfigs(kubeconfig, context);
    const proxyUrl = read.proxyUrl ?? environmentProxy(read.servers[0] ?? '', of.environment);
    const configuration = { ...read, ...(proxyUrl !== undefined && { proxyUrl }) };
    const { plugin } = configuration;
    const toldSecrets: string[] = [];
    const ask = plugin && credentialPlugin(plugin, configuration, of);
    const proofSource: ProofSource | undefined =
      ask &&
      (async (signal) => {
        const proof = await ask(signal);
        toldSecrets.push(...[proof.token, proof.key].flatMap((secret) => secret ?? []));
        return proof;
      });
    const client = createKubeClient({ ...configuration, ...(proofSource && { proofSource }) });
    return { configuration, client, toldSecrets };
  } catch (error) {
    throw new CommandError(error instanceof Error ? error.message : String(error), { exitCode: 2, cause: error });
  }
}

/** The options of the command or, before its name, of `sluice` itself. */
export function clusterOptions(options: ClusterOptions, command: Command): ClusterOptions {
  const { kubeconfig, context } = { ...command.optsWithGlobals<ClusterOptions>(), ...options };
  return { ...(kubeconfig !== undefined && { kubeconfig }), ...(context !== undefined && { context }) };
}

export interface ChoiceOptions {
  /** Whether ~/.kube/config counts as well. Default true; not where the question is to this node's agent. */
  readonly home?: boolean;
}

/** The one that was given, or that of the environment; undefined: neither. */
export function chosenCluster(
  { kubeconfig, context }: ClusterOptions,
  { environment }: Context,
  { home = true }: ChoiceOptions = {},
): ClusterChoice | undefined {
  if (kubeconfig !== undefined) return { kubeconfig, context };
  const paths = (environment.KUBECONFIG ?? '').split(':').filter((path) => path !== '');
  if (paths.length > 0) return { kubeconfig: paths, context };
  const atHome = environment.HOME ? join(environment.HOME, '.kube/config') : undefined;
  if (atHome !== undefined && (home || context !== undefined) && existsSync(atHome))
    return { kubeconfig: atHome, context };
  if (context === undefined) return undefined;
  throw new CommandError(`--context ${context}: of which kubeconfig? give --kubeconfig or set KUBECONFIG`, {
    exitCode: 2,
  });
}
