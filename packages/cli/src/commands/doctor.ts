import { basename, dirname } from 'node:path';
import type { StatusReport } from '@sluice/agent';
import { readValues } from '@sluice/config';
import type { Diagnosis, NodeSettings } from '@sluice/doctor';
import { tryParseAddress } from '@sluice/net';
import { Command, Option } from 'commander';
import { type ConfiguredNode, configuredNodeAnswer, statusAnswer } from '../agent-answers.ts';
import type { AgentClient } from '../agent-client.ts';
import { CommandError } from '../command-error.ts';
import { agentOf, type Context, globalOptions } from '../context.ts';
import { show } from '../output.ts';

const TEXT = `
Looks and changes nothing. No agent need run, so it is also what to run before the installation; of a running agent it asks
the configuration and what it knows of itself. Each finding says what comes of it and what to do. The exit status is 1 when
there is an error, something without which Sluice does not work here, and 0 with warnings and notes.

Examples:
  sluice doctor
  sluice doctor --config my-values.yaml     before the installation, with the values that it is to have
  sluice doctor --brief                     a line for each error and warning, nothing when all is well
  sluice doctor --machine --brief           what runs first in a lab, whose nodes have networks of their own
  sluice doctor -o json | jq '.findings[] | select(.severity == "error")'`;

interface Options {
  readonly config?: string;
  readonly machine?: boolean;
  readonly brief?: boolean;
  readonly proc?: string;
  readonly sys?: string;
}

export function doctorCommand(context: Context): Command {
  return new Command('doctor')
    .description('What on this node would hurt, and what to do about it')
    .option('--config <file>', "Helm values, where no agent tells its own (tunnel's port, devices, MTU, families)")
    .option('--machine', 'only the machine: kernel, filesystems, limits, clock')
    .option('--brief', 'a line for each error and warning')
    .addOption(new Option('--proc <path>', 'where the node has /proc; in a container another').hideHelp())
    .addOption(new Option('--sys <path>', 'where the node has /sys').hideHelp())
    .addHelpText('after', TEXT)
    .action(async (options: Options, command: Command) => {
      const diagnosis = await examine(options, agentOf(command, context));
      // Loaded here: it reads the kernel by FFI, which no other command of this program needs.
      const { diagnosisLines, diagnosisText, hasErrors } = await import('@sluice/doctor');
      const text = () => {
        const lines = diagnosisLines(diagnosis);
        if (!options.brief) return diagnosisText(diagnosis);
        return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
      };
      show(context, globalOptions(command, context).output, { data: diagnosis, text });
      if (hasErrors(diagnosis))
        throw new CommandError('this node has errors; the lines above name them', { exitCode: 1 });
    });
}

async function examine({ machine, config, proc, sys }: Options, client: AgentClient): Promise<Diagnosis> {
  const { examineMachine, examineNode, nodeSettingsDefault } = await import('@sluice/doctor');
  const paths = { ...(proc && { proc }), ...(sys && { sys }) };
  if (machine) return examineMachine(paths);
  const answer = await askAgent(client);
  const agent = answer instanceof CommandError ? undefined : answer;
  const values = agent?.values ?? (config === undefined ? undefined : readValues(config).values);
  const settings = { ...nodeSettingsDefault, ...(values && settingsOf(values)), ...(agent && placesOf(agent.status)) };
  const diagnosis = examineNode({ ...paths, settings, agent: agent?.status });
  if (!(answer instanceof CommandError)) return diagnosis;
  return { ...diagnosis, findings: [...diagnosis.findings, noAgent(answer)] };
}

function noAgent({ message }: CommandError): Diagnosis['findings'][number] {
  return {
    check: 'agent',
    severity: 'note',
    what: `no agent could be asked: ${message}`,
    meaning: 'only the machine and its network could be looked at, as before an installation',
    remedy: 'if one should run, see its log; in a lab: sluice lab exec NODE -- sluice doctor',
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
