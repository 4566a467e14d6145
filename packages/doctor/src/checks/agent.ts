import { clockApart } from '@sluice/runtime';
import type { AgentFacts } from '../facts/agent-facts.ts';
import type { Check, Complaint } from '../finding.ts';

/** What a running agent knows of itself. */
export const agentChecks: readonly Check<AgentFacts>[] = [
  { name: 'agent-kubernetes', look: kubernetesCheck },
  { name: 'clock-skew', look: clockCheck },
  { name: 'agent-cni', look: cniCheck },
  { name: 'agent-modules', look: moduleCheck },
  { name: 'agent-controllers', look: controllerCheck },
  { name: 'agent-nodes', look: nodeCheck },
];

function kubernetesCheck({ kubernetes }: AgentFacts): Complaint[] {
  if (kubernetes.state === 'ok') return [];
  return [
    {
      severity: 'error',
      what: `the API server ${kubernetes.server} is not reached: ${kubernetes.lastError ?? 'no list is complete yet'}`,
      meaning: 'traffic goes on as it was; no change of a service, pod or node arrives here',
      remedy:
        'does it run, and does this node reach its address? curl -k https://SERVER/healthz; "sluice status --verbose" lists the watches',
    },
  ];
}

function clockCheck({ kubernetes: { clockAheadMs = 0, server } }: AgentFacts): Complaint[] {
  const apart = clockApart(clockAheadMs);
  if (apart === undefined) return [];
  return [
    {
      severity: 'warning',
      what: `the clock is ${apart} that of the API server ${server}`,
      meaning:
        'leases and certificates are judged by the wrong time, and events and logs of the nodes do not fit together',
      remedy: 'timedatectl; chronyc tracking: which of the two is right?',
    },
  ];
}

function cniCheck({ cni }: AgentFacts): Complaint[] {
  if (cni.state === 'ok') return [];
  return [
    {
      severity: 'error',
      what: `pods that come now are not connected: ${cni.why ?? 'the CNI part does not work'}`,
      meaning: 'those that run go on; new ones stay in ContainerCreating',
      remedy: 'mend what is named; kubectl describe pod shows what the runtime was told',
    },
  ];
}

function moduleCheck({ modules }: AgentFacts): Complaint[] {
  return modules
    .filter(({ state }) => state === 'degraded')
    .map(({ name, why }) => ({
      severity: 'error',
      what: `the agent's module ${name} works only in part: ${why ?? ''}`,
      meaning: 'what it looks after is not, or not wholly, as it should be',
      remedy: 'sluice status --verbose; docs/operations.md, by symptom',
    }));
}

function controllerCheck({ controllers }: AgentFacts): Complaint[] {
  return controllers.list
    .filter(({ consecutiveFailures }) => consecutiveFailures > 0)
    .map(({ name, consecutiveFailures, lastError }) => ({
      severity: 'warning',
      what: `the agent's job ${name} has failed ${consecutiveFailures} times: ${lastError ?? ''}`,
      meaning: 'it is tried again until it works',
      remedy: "sluice status --verbose; the agent's log",
    }));
}

function nodeCheck({ nodes }: AgentFacts): Complaint[] {
  return nodes
    .filter(({ state }) => state === 'unreachable')
    .map(({ name, why }) => ({
      severity: 'warning',
      what: `node ${name} does not answer: ${why ?? ''}`,
      meaning: 'its pods are not reached from here',
      remedy: 'does it run? If only "through the tunnel" is named, a firewall between the nodes drops its UDP port',
    }));
}
