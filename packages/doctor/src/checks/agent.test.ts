import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agent } from '../../test/facts.ts';
import type { AgentFacts } from '../facts/agent-facts.ts';
import { diagnose } from '../finding.ts';
import { agentChecks } from './agent.ts';

function found(facts: Partial<AgentFacts>): string[] {
  return diagnose(agentChecks, { ...agent, ...facts }).findings.map(
    ({ check, severity, what }) => `${check} ${severity} ${what}`,
  );
}

test('an agent that is well has nothing to be told, and what is off is no complaint', () => {
  assert.deepEqual(found({}), []);
});

test('what an agent knows to be wrong is told with its reason', () => {
  const kubernetes = { ...agent.kubernetes, state: 'degraded', lastError: 'ECONNREFUSED' };
  assert.match(
    found({ kubernetes }).join(),
    /agent-kubernetes error the API server https:\S+ is not reached: ECONNREFUSED/,
  );
  assert.match(
    found({ cni: { state: 'degraded', why: 'the pool is exhausted' } }).join(),
    /agent-cni error .*the pool is exhausted/,
  );
  const modules = [{ name: 'datapath', state: 'degraded', why: '1 link is gone' }];
  assert.match(found({ modules }).join(), /agent-modules error .*datapath works only in part: 1 link is gone/);
  const list = [{ name: 'node-probe', consecutiveFailures: 3, lastError: 'EPERM' }];
  assert.match(
    found({ controllers: { list } }).join(),
    /agent-controllers warning .*node-probe has failed 3 times: EPERM/,
  );
  const nodes = [{ name: 'k8s-cp2', state: 'unreachable', why: '10.10.30.102 (the node) does not answer' }];
  assert.match(found({ nodes }).join(), /agent-nodes warning node k8s-cp2 does not answer/);
});

test("a clock that is apart from the API server's is told, a second or two are not", () => {
  const skewed = (clockAheadMs: number) => found({ kubernetes: { ...agent.kubernetes, clockAheadMs } }).join();
  assert.match(skewed(61_000), /clock-skew warning the clock is 61 s ahead of that of the API server/);
  assert.match(skewed(-7_000), /clock-skew warning the clock is 7 s behind/);
  assert.equal(skewed(-4_000), '');
});
