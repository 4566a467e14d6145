/** The part of `sluice doctor` that is loaded only when it runs. */
import { basename, dirname } from 'node:path';
import type { StatusReport } from '@sluice/agent';
import { ConfigError, readValues } from '@sluice/config';
import {
  type Diagnosis,
  diagnosisLines,
  diagnosisText,
  examineMachine,
  examineNode,
  hasErrors,
  type NodeSettings,
  nodeSettingsDefault,
} from '@sluice/doctor';
import { tryParseAddress } from '@sluice/net';
import { type ConfiguredNode, configuredNodeAnswer, statusAnswer } from './agent-answers.ts';
import type { AgentClient } from './agent-client.ts';
import { CommandError } from './command-error.ts';

export { hasErrors };

export function textOf(diagnosis: Diagnosis, { brief }: { readonly brief: boolean }): string {
  if (!brief) return diagnosisText(diagnosis);
  return diagnosisLines(diagnosis)
    .map((line) => `${line}\n`)
    .join('');
}

export interface ExaminationOptions {
  /** A file of Helm values. */
  readonly config?: string;
  readonly machine?: boolean;
  readonly proc?: string;
  readonly sys?: string;
}

export async function examine(options: ExaminationOptions, client: AgentClient): Promise<Diagnosis> {
  const { machine, config, proc, sys } = options;
  const paths = { ...(proc && { proc }), ...(sys && { sys }) };
  if (machine) return examineMachine(paths);
  const answer = await askAgent(client);
  const agent = answer instanceof CommandError ? undefined : answer;
  // Read even where the agent's count: a file that is not there, or wrong, is told.
  const given = config === undefined ? undefined : valuesIn(config);
  const values = agent?.values ?? given;
  const settings = { ...nodeSettingsDefault, ...(values && settingsOf(values)), ...(agent && placesOf(agent.status)) };
  const diagnosis = examineNode({ ...paths, settings, agent: agent?.status });
  if (!(answer instanceof CommandError)) return diagnosis;
  return { ...diagnosis, findings: [...diagnosis.findings, noAgent(answer)] };
}

function valuesIn(file: string): ConfiguredNode['values'] {
  try {
    return readValues(file).values;
  } catch (error) {
    if (error instanceof ConfigError) throw new CommandError(error.message, { cause: error, exitCode: 2 });
    throw error;
  }
}

/** Before the installation there is none; one that has left its socket and does not answer is a fault. */
function noAgent({ message, cause }: CommandError): Diagnosis['findings'][number] {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  if (code === 'ENOENT' || code === 'EACCES') {
    return {
      check: 'agent',
      severity: 'note',
      what: `no agent could be asked: ${message}`,
      meaning: 'only the machine and its network could be looked at, as before an installation',
      remedy: 'if one should run, see its log; in a lab: sluice lab exec NODE -- sluice doctor',
    };
  }
  return {
    check: 'agent',
    severity: 'error',
    what: `the agent does not answer as it should: ${message}`,
    meaning:
      'packets go on as they did, no change of pods and services is followed; the agent itself could not be looked at',
    remedy: "see the end of the agent's log; one that stands still must be ended (kill -9) and started again",
  };
}

interface Agent {
  readonly status: StatusReport;
  readonly values: ConfiguredNode['values'];
}

/** An error says why there is none to ask. */
async function askAgent(client: AgentClient): Promise<Agent | CommandError> {
  try {
    const status = await client.get('/status', statusAnswer);
    const { values } = await client.get('/config', configuredNodeAnswer);
    return { status, values };
  } catch (error) {
    if (error instanceof CommandError) return error;
    throw error;
  }
}

function settingsOf(values: ConfiguredNode['values']): Partial<NodeSettings> {
  return {
    tunnelPort: values.tunnelPort,
    mtu: values.MTU,
    devices: values.devices,
    ipv4: values.ipv4.enabled,
    ipv6: values.ipv6.enabled,
    agentPorts: values.prometheus.enabled ? [values.prometheus.port] : [],
    nodePorts: values.kubeProxyReplacement ? values.nodePort.range : undefined,
    reservesNodePorts: values.nodePort.autoProtectPortRange,
  };
}

function placesOf({ node, nodes, cni }: StatusReport): Partial<NodeSettings> {
  const addresses = nodes.find(({ name }) => name === node)?.addresses ?? [];
  return {
    agentPorts: [],
    nodeAddresses: addresses.flatMap((text) => tryParseAddress(text) ?? []),
    ...(cni.configFile && { cniDirectory: dirname(cni.configFile), cniFile: basename(cni.configFile) }),
  };
}
