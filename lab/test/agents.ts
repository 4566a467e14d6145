import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { NodeLayout } from '@sluice/lab';

const readyTimeoutMs = 30_000;

function agentPid(node: NodeLayout): number | undefined {
  try {
    const pid = Number(readFileSync(join(node.runDirectory, 'agent.pid'), 'utf8'));
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('agent.js') ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** The process id of the node's agent, once it is another one than `killed`. */
export function untilAgent(node: NodeLayout, killed?: number): Promise<number> {
  return until(`an agent on ${node.name}`, async () => {
    const pid = agentPid(node);
    return pid === killed ? undefined : pid;
  });
}

export function untilReady(node: NodeLayout, killed?: number): Promise<number> {
  return until(`the agent of ${node.name} is ready`, async () => {
    const pid = agentPid(node);
    return pid !== undefined && pid !== killed && (await isReady(node)) ? pid : undefined;
  });
}

async function until<Value>(what: string, look: () => Promise<Value | undefined>): Promise<Value> {
  const deadline = performance.now() + readyTimeoutMs;
  while (performance.now() < deadline) {
    const value = await look();
    if (value !== undefined) return value;
    await delay(10);
  }
  return assert.fail(`${what}: not after ${readyTimeoutMs} ms`);
}

async function isReady(node: NodeLayout): Promise<boolean> {
  return (await askAgent(node, '/healthz').catch(() => '')).includes('"ready":true');
}

/** What the agent says at its socket, past the command line. */
export function askAgent({ agentSocket }: NodeLayout, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: agentSocket, path }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve(text));
    });
    asked.on('error', reject);
    asked.end();
  });
}
