/** Random Services, endpoints and clients: what `desired.ts` derives against the model of what Kubernetes documents. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { holds } from '@sluice/testing';
import fc from 'fast-check';
import { rowVerdict } from '../test/row-verdict.ts';
import {
  modelAffinitySeconds,
  modelHealthCheck,
  modelVerdict,
  type Verdict,
  type World,
} from '../test/service-model.ts';
import { questions, readWorld, world } from '../test/service-worlds.ts';
import { desiredFrontends } from './desired.ts';
import { healthCheckOf } from './health-checks.ts';

const all = questions();

function rowsOf(world: World) {
  const { service, slices, viewpoint } = readWorld(world);
  return desiredFrontends(service, slices, viewpoint);
}

test('whoever asks a service gets the backends that Kubernetes documents, or what it says of the others', () => {
  const seen: Record<string, number> = {};
  holds(
    fc.property(world, (given) => {
      const rows = rowsOf(given);
      for (const { asked, client } of all) {
        const model = modelVerdict(given, asked, client);
        const told = `${client.kind} ${client.address} asks ${asked.address} ${asked.port}/${asked.protocol}`;
        assert.deepEqual(rowVerdict(rows, { asked, client, node: given.node }), model, told);
        seen[nameOf(model)] = (seen[nameOf(model)] ?? 0) + 1;
      }
    }),
    300,
  );
  // A model that says the same of everybody would prove nothing.
  for (const name of ['served', 'rejected', 'dropped: not allowed', 'dropped: nobody here', 'untouched'])
    assert.ok((seen[name] ?? 0) > 10, `${name}: ${seen[name] ?? 0} times`);
});

function nameOf(verdict: Verdict): string {
  return verdict.verdict === 'dropped' ? `dropped: ${verdict.why}` : verdict.verdict;
}

test('affinity lasts as long as the object says, at every way in', () => {
  holds(
    fc.property(world, (given) => {
      for (const { affinitySeconds } of rowsOf(given))
        assert.equal(affinitySeconds, modelAffinitySeconds(given.service));
    }),
    200,
  );
});

test('a health check counts what Kubernetes counts', () => {
  holds(
    fc.property(world, (given) => {
      const { service, slices, viewpoint } = readWorld(given);
      const check = healthCheckOf(service, slices, viewpoint.nodeName);
      assert.equal(check?.localEndpoints, modelHealthCheck(given));
    }),
    500,
  );
});

test('the order in which slices come, and how endpoints are spread over them, is of no meaning', () => {
  holds(
    fc.property(world, (given) => {
      const spread = given.slices.flatMap((slice) => slice.endpoints.map((each) => ({ ...slice, endpoints: [each] })));
      const other = rowsOf({ ...given, slices: spread.reverse() });
      assert.deepEqual(other, rowsOf(given));
    }),
    200,
  );
});
