import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { inNetworkNamespace } from '@sluice/ffi';
import { openNetlink } from '@sluice/netlink';
import { installationRoot } from '@sluice/runtime';
import { setOffload } from '@sluice/testing';
import { type AgentNode, agentNode } from '../test/agent-process.ts';
import { attachForeignXdp } from '../test/foreign-program.ts';
import type { StatusReport } from './report.ts';

const needed = ['bpf/build/xdp.o'].filter((path) => !existsSync(join(installationRoot(), path)));
const options = { skip: needed.length > 0 && `not built: ${needed.join(', ')}; npm run build makes it` };

const values = (acceleration: string) => `loadBalancer: { acceleration: ${acceleration} }`;

/** Once it is told; what is there later does not matter. */
async function accelerationOf(node: AgentNode, expected: RegExp): Promise<StatusReport> {
  for (const deadline = performance.now() + 15_000; ; await delay(50)) {
    const report = (await node.get('/status')) as StatusReport;
    const told = report.acceleration?.devices.map(({ name, mode, why }) => `${name} ${mode} ${why}`).join(', ') ?? '';
    if (expected.test(told)) return report;
    assert.ok(performance.now() < deadline, `"${told}" does not become ${expected}`);
  }
}

function moduleOf(report: StatusReport) {
  return report.modules.find(({ name }) => name === 'acceleration');
}

function xdpOf(node: AgentNode): number | undefined {
  using netlink = openNetlink({ namespace: node.netns });
  return netlink.links.get('eno1')?.xdpProgramId;
}

suite('acceleration', { concurrency: 2 }, () => {
  test('is off unless somebody asks for it', options, async () => {
    await using node = agentNode();
    await node.start();
    const report = (await node.get('/status')) as StatusReport;
    assert.deepEqual(report.acceleration, { wanted: 'disabled', devices: [] });
    assert.equal(moduleOf(report)?.state, 'off');
    assert.equal(xdpOf(node), undefined);
  });

  test('native runs in the driver, says what that cannot do, and outlives the agent', options, async () => {
    await using node = agentNode();
    await node.start(values('native'));
    const report = await accelerationOf(node, /^eno1 native what leaves by it is left to TC: .* gro on/);
    assert.equal(moduleOf(report)?.state, 'ok');
    assert.ok(!report.foreignPrograms.some(({ hook }) => hook.startsWith('XDP')), 'our own is taken for a foreign one');
    inNetworkNamespace(node.netns, () => setOffload('lan', 'receiveMerging', true));
    await accelerationOf(node, /^eno1 native $/);
    const before = xdpOf(node);
    await node.kill();
    assert.ok(before !== undefined && xdpOf(node) === before);
    await node.start(values('generic'));
    await accelerationOf(node, /^eno1 generic $/);
    assert.ok(xdpOf(node) !== before);
    await node.kill();
    await node.start();
    for (let attempt = 0; attempt < 100 && xdpOf(node) !== undefined; attempt += 1) await delay(50);
    assert.equal(xdpOf(node), undefined);
  });

  test(
    'a program of somebody else stays, and is told: native wants it gone, best-effort does not',
    options,
    async () => {
      await using node = agentNode();
      attachForeignXdp(node.netns, 'eno1', 'xdp_other');
      const other = xdpOf(node);
      await node.start(values('native'));
      const report = await accelerationOf(node, /^eno1 off program \d+ of somebody else is at its XDP/);
      assert.equal(moduleOf(report)?.state, 'degraded');
      await node.kill();
      await node.start(values('best-effort'));
      assert.equal(moduleOf(await accelerationOf(node, /^eno1 off program/))?.state, 'ok');
      assert.equal(xdpOf(node), other);
    },
  );
});
