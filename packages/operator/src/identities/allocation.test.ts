import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Identities, identityCandidates, LabelFilter, LabelSets, podLabels } from '@sluice/identity';
import type { NamespaceObject } from '@sluice/kube';
import { IDENTITY_MAX, IDENTITY_MIN } from '@sluice/model';
import { silentLogger } from '@sluice/runtime';
import { Table } from '@sluice/state';
import { IdentityAllocation } from './allocation.ts';
import { labelledPodTable } from './labelled-pod.ts';
import { WantedIdentities } from './wanted-identities.ts';

const count = 100_000;
const rules = { cluster: 'homelab', filter: new LabelFilter() };

test('100,000 label sets get a number each, no two the same, and each knows its labels', async () => {
  const labelSets = new LabelSets();
  const identities = new Identities(labelSets);
  const namespaces = new Table<NamespaceObject>({ name: 'namespaces', key: (row) => row.name, columns: {} });
  namespaces.upsert({ name: 'shop', uid: 'u', labels: { team: 'a' }, problems: [] });
  const pods = labelledPodTable();
  const labelsOf = (app: string) => podLabels({ namespace: 'shop', labels: { app }, serviceAccount: 'default' }, rules);
  pods.replaceAll(
    Array.from({ length: count }, (_, index) => {
      const labels = labelSets.of(labelsOf(`service-${index}`));
      return { namespace: 'shop', name: `p${index}`, labels, agent: undefined, problems: [] };
    }),
  );
  const stored = new Map<number, readonly string[]>();
  const objects = {
    create: async (id: number, labels: readonly string[]) => {
      const holder = stored.get(id) ?? labels;
      stored.set(id, holder);
      return holder;
    },
    mark: async () => true,
  };
  using wanted = new WantedIdentities({ pods, namespaces, labelSets, rules });
  await new IdentityAllocation({ wanted, identities, objects, log: silentLogger }).run(new AbortController().signal);
  assert.deepEqual([stored.size, identities.size], [count, count]);
  let moved = 0;
  for (const [id, labels] of stored) {
    assert.ok(id >= IDENTITY_MIN && id <= IDENTITY_MAX);
    assert.equal(identities.usableIdOf(labels), id);
    if (identityCandidates(labels).next().value !== id) moved += 1;
  }
  assert.ok(moved > 100, `${moved} would have shared a number with others by their hash alone`);
});
