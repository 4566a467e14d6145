import { parseArgs } from 'node:util';
import { isLogLevel, type LogLevel } from '@sluice/runtime';
import type { DaemonSetName } from './installation.ts';

/** Every path is an option: lab nodes share the machine's mounts, real ones do not. */
export interface AgentOptions {
  readonly nodeName: string;
  /** Helm values; without them every option has its default. */
  readonly config: string | undefined;
  /** Without it: the service account of the pod that we run in. */
  readonly kubeconfig: string | undefined;
  /** What must outlive the agent and need not outlive the machine's start. */
  readonly stateDir: string;
  /** For `cni.sock` and `sluice.sock`. */
  readonly runDir: string;
  readonly cgroupRoot: string | undefined;
  readonly bpffs: string;
  readonly proc: string;
  readonly sys: string;
  /** Where to write the CNI network configuration; undefined: somebody else does. */
  readonly cniConfig: string | undefined;
  /** Whether CNI configurations of others are set aside while ours is there. */
  readonly cniExclusive: boolean;
  /** The executable `sluice-cni` on the node, which goes with the configuration when we are uninstalled. */
  readonly cniPlugin: string | undefined;
  /** What has us run; undefined: no one asks whether it still is there. */
  readonly daemonSet: DaemonSetName | undefined;
  /** TCP on 127.0.0.1, for the kubelet's probes; undefined: none. */
  readonly healthPort: number | undefined;
  readonly logLevel: LogLevel;
}

/** Thrown for a command line that cannot be meant; the message is for people. */
export class OptionsError extends Error {
  override readonly name = 'OptionsError';
}

export function parseOptions(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>> = process.env,
): AgentOptions {
  const values = parse(args);
  const nodeName = values['node-name'] ?? environment.K8S_NODE_NAME ?? environment.NODE_NAME;
  if (!nodeName)
    throw new OptionsError('--node-name is missing (or K8S_NODE_NAME): the name of this node in Kubernetes');
  const logLevel = values['log-level'] ?? 'info';
  if (!isLogLevel(logLevel))
    throw new OptionsError(`--log-level ${logLevel} is not a level: trace, debug, info, warn, error`);
  return {
    nodeName,
    config: values.config,
    kubeconfig: values.kubeconfig,
    stateDir: values['state-dir'] ?? '/var/lib/sluice',
    runDir: values['run-dir'] ?? '/run/sluice',
    cgroupRoot: values['cgroup-root'],
    bpffs: values.bpffs ?? '/sys/fs/bpf',
    proc: values.proc ?? '/proc',
    sys: values.sys ?? '/sys',
    cniConfig: values['cni-config'],
    cniExclusive: values['cni-exclusive'] ?? false,
    cniPlugin: values['cni-plugin'],
    daemonSet: readDaemonSet(values['daemon-set']),
    healthPort: readPort(values['health-port']),
    logLevel,
  };
}

function readDaemonSet(text: string | undefined): DaemonSetName | undefined {
  if (text === undefined) return undefined;
  const [, namespace, name] = /^([^/]+)\/([^/]+)$/.exec(text) ?? [];
  if (namespace !== undefined && name !== undefined) return { namespace, name };
  throw new OptionsError(`--daemon-set ${text} is not NAMESPACE/NAME`);
}

function readPort(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65535) return port;
  throw new OptionsError(`--health-port ${text} is not a port (1 to 65535)`);
}

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const;
  const options = {
    'node-name': text,
    config: text,
    kubeconfig: text,
    'state-dir': text,
    'run-dir': text,
    'cgroup-root': text,
    bpffs: text,
    proc: text,
    sys: text,
    'cni-config': text,
    'cni-exclusive': { type: 'boolean' } as const,
    'cni-plugin': text,
    'daemon-set': text,
    'health-port': text,
    'log-level': text,
  };
  try {
    return parseArgs({ args: [...args], options, strict: true }).values;
  } catch (cause) {
    throw new OptionsError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}
