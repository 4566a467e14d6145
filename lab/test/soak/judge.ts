import { deepStrictEqual } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { NodeLayout } from '@sluice/lab';
import type { Client } from '../clients.ts';
import { configurationRows } from '../configuration-maps.ts';
import type { TestLab } from '../test-lab.ts';
import { differences, namespaceCount, type Resources, resourcesOf } from './resources.ts';
import { say } from './run.ts';

/** The grace of old generations and of identities of pods that are gone, and the time a dead node takes to be well. */
const settleTimeoutMs = 90_000;

export interface Baseline {
  readonly namespaces: number;
  readonly nodes: readonly NodeBaseline[];
}

interface NodeBaseline {
  readonly node: NodeLayout;
  /** Undefined where it loses its power: it numbers services anew. */
  readonly rows: ReturnType<typeof configurationRows> | undefined;
  readonly resources: Resources;
}

export async function takeBaseline(lab: TestLab, nodes: readonly NodeLayout[], shaken: NodeLayout): Promise<Baseline> {
  const each = [...nodes, shaken].map(async (node) => ({
    node,
    rows: node === shaken ? undefined : configurationRows(node),
    resources: await resourcesOf(lab, node),
  }));
  return { nodes: await Promise.all(each), namespaces: namespaceCount(lab) };
}

/** How many clients have lost something. */
export async function judgeClients(clients: readonly Client[]): Promise<number> {
  let bad = 0;
  let answered = 0;
  for (const client of clients) {
    const text = await client.end();
    const crowd = /^kept=\d+ asked=(\d+) failed=(\d+) new=(\d+) failed=(\d+)$/m.exec(text);
    const isWhole = crowd ? Number(crowd[2]) + Number(crowd[4]) === 0 : /sent=(\d{2,}) answered=\1 failed=0/.test(text);
    answered += crowd ? Number(crowd[1]) + Number(crowd[3]) : Number(/answered=(\d+)/.exec(text)?.[1] ?? 0);
    if (isWhole) continue;
    bad += 1;
    say(`LOST: ${client.what}: ${text.split('\n').at(-1)}`);
  }
  say(`${answered} requests answered; ${bad} of ${clients.length} clients lost some`);
  return bad;
}

/** How many nodes are not as they were, once they had time to come to rest. */
export async function judgeNodes(lab: TestLab, baseline: Baseline): Promise<number> {
  let bad = 0;
  const deadline = performance.now() + settleTimeoutMs;
  for (const before of baseline.nodes) {
    let problems = await problemsOf(lab, before);
    while (problems.length > 0 && performance.now() < deadline) {
      await delay(1_000);
      problems = await problemsOf(lab, before);
    }
    if (problems.length === 0) continue;
    bad += 1;
    for (const problem of problems) say(`DIFFERENT: ${before.node.name}: ${problem}`);
    say(`log of ${before.node.name}:\n${logOf(lab, before.node)}`);
  }
  const namespaces = namespaceCount(lab);
  if (namespaces === baseline.namespaces) return bad;
  say(`DIFFERENT: ${baseline.namespaces} network namespaces before, ${namespaces} after`);
  return bad + 1;
}

async function problemsOf(lab: TestLab, { node, rows, resources }: NodeBaseline): Promise<string[]> {
  const { status, stdout, stderr } = await lab.run('exec', node.name, '--', 'sluice', 'status', '--wait');
  if (status !== 0) return [`it is not well:\n${stdout}${stderr}`];
  const problems = differences(resources, await resourcesOf(lab, node));
  try {
    if (rows) deepStrictEqual(configurationRows(node), rows);
  } catch (error) {
    problems.push(`its maps: ${error instanceof Error ? error.message : String(error)}`);
  }
  return problems;
}

function logOf(lab: TestLab, node: NodeLayout): string {
  return readFileSync(join(lab.layout.logs, `agent-${node.name}.log`), 'utf8')
    .split('\n')
    .slice(-40)
    .join('\n');
}
