import assert from 'node:assert/strict';
import { test } from 'node:test';
import { packet } from '@sluice/net';
import { type Bench, createBench, gateway, pod, remotePod } from '../test/programs.ts';
import { DropReason, EventType } from './index.ts';

const BURST = 256;
const stolenAddress = packet()
  .ethernet({ source: pod.mac, destination: gateway.mac })
  .ipv4({ source: remotePod.ipv4, destination: gateway.ipv4 })
  .udp({ sourcePort: 1, destinationPort: 2 })
  .payload('x');

function counted(bench: Bench): number {
  const counters = bench.maps.counters.lookup({ reason: DropReason.InvalidSourceAddress, direction: 1 });
  return (counters ?? []).reduce((sum, { packets }) => sum + Number(packets), 0);
}

function withheld(bench: Bench): number {
  return (bench.maps.eventBudgets.lookup(EventType.Drop) ?? []).reduce(
    (sum, budget) => sum + Number(budget.withheld),
    0,
  );
}

test('a flood of bad packets is counted to the last one, and only so many of them are events', () => {
  using bench = createBench();
  const flood = 50_000;
  bench.program('pod_from_pod').testRun({ data: stolenAddress, repeat: flood - 1 });
  const events = bench.run('pod_from_pod', stolenAddress).drops.length;
  assert.equal(counted(bench), flood);
  assert.equal(events + withheld(bench), flood);
  assert.ok(events >= BURST, `${events} events`);
  assert.ok(withheld(bench) > 0, 'nothing was withheld');
});

test('a CPU that has spent its budget sends events again when time has passed', () => {
  using bench = createBench();
  bench.program('pod_from_pod').testRun({ data: stolenAddress, repeat: 50_000 });
  bench.run('pod_from_pod', stolenAddress);
  const budgets = bench.maps.eventBudgets.lookup(EventType.Drop) ?? [];
  const later = budgets.map((budget) => ({ ...budget, spentUntilNs: budget.spentUntilNs - 1_000_000_000n }));
  bench.maps.eventBudgets.update(EventType.Drop, later);
  assert.equal(bench.run('pod_from_pod', stolenAddress).drops.length, 1);
});
