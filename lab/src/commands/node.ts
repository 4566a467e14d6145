import { setTimeout as delay } from 'node:timers/promises';
import { askDaemon } from '../daemon/control.ts';
import type { NodeAction } from '../daemon/machines.ts';
import { LabError } from '../error.ts';
import { type LabLayout, nameOption } from '../layout.ts';
import { type ExistingLab, existingLab, type LabContext, withLock } from './context.ts';

const pollMs = 40;
const patienceMs = 60_000;
const noticed: Readonly<Record<NodeAction, string>> = {
  kill: 'Its object and its pods stay until the cluster notices: NotReady after 40 s without a sign of life, pods deleted 5 minutes later.',
  stop: 'It said that it goes: the cluster calls it NotReady already, and deletes its pods 5 minutes later.',
  start: '',
};

/** Switches a node's power. One that is switched on is waited for. */
export async function switchNode(
  name: string,
  { node, action }: { node: string; action: NodeAction },
  { print }: LabContext,
): Promise<void> {
  const lab = existingLab(name);
  requireNode(lab, node);
  await withLock(lab.layout, async () => {
    const began = performance.now();
    const { text, isDone } = answered(lab.layout, await askDaemon(lab.layout.socket, '/node', { name: node, action }));
    print(text);
    if (action === 'start') return print(await untilReady(lab.layout, node, began));
    if (isDone) print(noticed[action]);
  });
}

/** What the daemon answered. */
export function answered<Answer>({ name, logs }: LabLayout, answer: Answer | undefined): Answer {
  if (answer !== undefined) return answer;
  throw new LabError(`lab ${name}: its daemon does not answer`, {
    hint: `sluice lab up --name ${name} repairs it; logs: ${logs}`,
  });
}

export function requireNode({ topology }: ExistingLab, node: string): void {
  if (topology.nodes.some(({ name }) => name === node)) return;
  throw new LabError(`there is no node ${node}`, {
    hint: `the lab's nodes: ${topology.nodes.map(({ name }) => name).join(', ')}`,
  });
}

async function untilReady(layout: LabLayout, node: string, began: number): Promise<string> {
  for (;;) {
    const report = answered(layout, await askDaemon(layout.socket, '/report'));
    const seen = report.nodes.find(({ name }) => name === node);
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    if (seen?.ready) return `${node} is ready after ${seconds} s`;
    if (seen?.isCutOff) return `${node} waits for its cable: sluice lab link heal ${node}${nameOption(layout.name)}`;
    if (performance.now() - began > patienceMs) {
      throw new LabError(`${node} is not ready after ${seconds} s: ${seen?.why}`, {
        hint: `its agent's log: ${layout.logs}/agent-${node}.log`,
      });
    }
    await delay(pollMs);
  }
}
