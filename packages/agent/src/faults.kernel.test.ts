// What may happen to a node behind the agent's back: the status tells it when it is asked, and what can be repaired is.
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Link } from '@sluice/bpf';
import { openNetlink } from '@sluice/netlink';
import { installationRoot } from '@sluice/runtime';
import { temporaryNetworkNamespace } from '@sluice/testing';
import { type AgentNode, agentNode } from '../test/agent-process.ts';
import { foreignClassifier, Verdict } from '../test/foreign-program.ts';
import type { StatusReport, TableReport } from './report.ts';

const needed = ['dist/bin/sluice-cni', 'bpf/build/pod.o'].filter((path) => !existsSync(join(installationRoot(), path)));
const options = { skip: needed.length > 0 && `not built: ${needed.join(', ')}; npm run build makes it` };

test('links that somebody detached are told at once and attached again', options, async () => {
  await using node = agentNode();
  using pod = temporaryNetworkNamespace();
  await node.start();
  await addPod(node, pod.path);
  const names = ['overlay', 'sock_connect4', ...linkNames(node).filter((name) => name.startsWith('pod_'))];
  assert.equal(names.length, 3);
  for (const name of names) {
    using link = Link.openPinned(pinOf(node, name));
    link.detach();
  }
  const told = await whyDegraded(node, 'datapath');
  for (const name of names)
    assert.match(told, new RegExp(`${name}: its (device|cgroup) is gone, or somebody has detached`));
  await untilWell(node, 'datapath');
});

test("another's program in one of our links is told, and ours takes its place again", options, async () => {
  await using node = agentNode();
  using pod = temporaryNetworkNamespace();
  await node.start();
  await addPod(node, pod.path);
  using intruder = foreignClassifier('intruder', Verdict.next);
  for (const name of linkNames(node).filter((each) => /^(overlay|host|pod_)/.test(each))) {
    using link = Link.openPinned(pinOf(node, name));
    link.update(intruder);
  }
  const { id } = intruder.info();
  const told = await whyDegraded(node, 'datapath');
  for (const name of ['overlay', 'host', 'pod_\\w+'])
    assert.match(told, new RegExp(`${name}: it runs program ${id}, which is not ours`));
  await untilWell(node, 'datapath');
});

test("a pod's device that somebody takes down or renames is put right within a moment", options, async () => {
  await using node = agentNode();
  using pod = temporaryNetworkNamespace();
  await node.start();
  await addPod(node, pod.path);
  using netlink = openNetlink({ namespace: node.netns });
  const device = () => netlink.links.list().find(({ name }) => name.startsWith('slc'));
  const { ifindex = 0, name } = device() ?? {};
  netlink.links.set({ ifindex, up: false });
  await until(() => device()?.up === true, 2_000);
  netlink.links.set({ ifindex, name: 'other' });
  await until(() => netlink.links.get(ifindex)?.name === name, 2_000);
  await untilWell(node, 'endpoints');
});

test("a pod's device that somebody removed is told", options, async () => {
  await using node = agentNode();
  using pod = temporaryNetworkNamespace();
  await node.start();
  await addPod(node, pod.path);
  using netlink = openNetlink({ namespace: node.netns });
  const device = netlink.links.list().find(({ name }) => name.startsWith('slc'));
  netlink.links.delete(device?.ifindex ?? 0);
  await until(
    async () => /device slc\w+ is gone: somebody removed it/.test(await whyDegraded(node, 'endpoints')),
    2_000,
  );
});

/** A pod that the reconcilers have looked at, too. */
async function addPod(node: AgentNode, netns: string): Promise<void> {
  assert.equal(node.cni('ADD', 'c1', netns).status, 0);
  const status = async () => ((await node.get('/tables/endpoints')) as TableReport).cells[0]?.at(-1);
  await until(async () => (await status()) === 'done', 2_000);
}

function linkNames(node: AgentNode): string[] {
  return readdirSync(join(node.bpffs, 'sluice/links'));
}

function pinOf(node: AgentNode, name: string): string {
  return join(node.bpffs, 'sluice/links', name);
}

/** Empty while the module is well. */
async function whyDegraded(node: AgentNode, module: string): Promise<string> {
  const { modules } = (await node.get('/status')) as StatusReport;
  const found = modules.find(({ name }) => name === module);
  assert.ok(found, `no module ${module}`);
  return found.state === 'degraded' ? (found.why ?? '') : '';
}

/** The agent looks every ten seconds. */
async function untilWell(node: AgentNode, module: string): Promise<void> {
  await until(async () => (await whyDegraded(node, module)) === '', 15_000);
}

async function until(look: () => boolean | Promise<boolean>, patienceMs: number): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (!(await look())) {
    assert.ok(performance.now() < deadline, `not after ${patienceMs} ms: ${look}`);
    await delay(20);
  }
}
