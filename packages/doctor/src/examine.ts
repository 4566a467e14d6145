import { agentChecks } from './checks/agent.ts';
import { bpffsCheck } from './checks/bpffs.ts';
import { kernelChecks } from './checks/kernel.ts';
import { cgroupPathOf, machineChecks } from './checks/machine.ts';
import { networkChecks } from './checks/network.ts';
import { otherChecks } from './checks/others.ts';
import type { AgentFacts } from './facts/agent-facts.ts';
import { readMachineFacts } from './facts/machine-facts.ts';
import { readNetworkFacts } from './facts/network-facts.ts';
import { type Diagnosis, diagnose, mergeDiagnoses } from './finding.ts';
import { type NodeSettings, nodeSettingsDefault } from './node-settings.ts';

export interface ExamineOptions {
  readonly proc?: string;
  readonly sys?: string;
}

export interface ExamineNodeOptions extends ExamineOptions {
  readonly settings?: NodeSettings;
  /** What a running agent says; undefined: none runs. */
  readonly agent?: AgentFacts | undefined;
}

/** The machine alone, for those whose nodes have networks of their own: the lab, and the tests. */
export function examineMachine({ proc = '/proc', sys = '/sys' }: ExamineOptions = {}): Diagnosis {
  return mergeDiagnoses([diagnose([...kernelChecks, ...machineChecks], readMachineFacts({ proc, sys }))]);
}

/** The machine, its network as the calling thread's namespace has it, and what the agent says. */
export function examineNode(options: ExamineNodeOptions = {}): Diagnosis {
  const { proc = '/proc', sys = '/sys', settings = nodeSettingsDefault, agent } = options;
  const machine = readMachineFacts({ proc, sys });
  const ofMachine = diagnose([...kernelChecks, ...machineChecks, bpffsCheck], machine);
  // Only root sees other processes' sockets and the kernel's programs: half of it would look like all being well.
  if (!machine.isRoot) return mergeDiagnoses([ofMachine]);
  const network = readNetworkFacts({ proc, sys, settings, cgroupPath: cgroupPathOf(machine) });
  const ofNetwork = diagnose([...networkChecks, ...otherChecks], network);
  return mergeDiagnoses([ofMachine, ofNetwork, ...(agent ? [diagnose(agentChecks, agent)] : [])]);
}
