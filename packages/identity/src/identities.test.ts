import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import type { CiliumIdentityObject } from '@sluice/kube';
import { IDENTITY_MAX, IDENTITY_MIN } from '@sluice/model';
import fc from 'fast-check';
import { identityCandidates } from './candidate.ts';
import { Identities, type IdentityChange } from './identities.ts';
import { LabelSets } from './label-sets.ts';

function object(id: number, labels: readonly string[], unusedSince?: number): CiliumIdentityObject {
  return { name: String(id), uid: `uid-${id}`, id, labels, unusedSince, problems: [] };
}

function filled(...objects: CiliumIdentityObject[]): Identities {
  const identities = new Identities();
  identities.replaceAll(objects.map((each) => identities.read(each)));
  return identities;
}

test('an identity is found by its number and by its labels', () => {
  const identities = filled(object(300, ['k8s:a=1', 'k8s:b=2']), object(301, ['k8s:a=1']));
  assert.deepEqual(identities.labelsOf(300), ['k8s:a=1', 'k8s:b=2']);
  assert.equal(identities.usableIdOf(['k8s:a=1']), 301);
  assert.equal(identities.usableIdOf(['k8s:b=2']), undefined);
  assert.equal(identities.usableIdOf(['k8s:never=seen']), undefined);
});

test('of two numbers for the same labels the lower one counts, and the other when that is gone', () => {
  const identities = filled(object(900, ['k8s:a=1']), object(300, ['k8s:a=1']), object(500, ['k8s:a=1']));
  assert.equal(identities.usableIdOf(['k8s:a=1']), 300);
  identities.delete('300');
  assert.equal(identities.usableIdOf(['k8s:a=1']), 500);
  identities.delete('900');
  assert.equal(identities.usableIdOf(['k8s:a=1']), 500);
  identities.delete('500');
  assert.equal(identities.usableIdOf(['k8s:a=1']), undefined);
});

test('an identity that is marked as unused is given to nobody until the mark is gone', () => {
  const identities = filled(object(300, ['k8s:a=1'], 1_000));
  assert.equal(identities.usableIdOf(['k8s:a=1']), undefined);
  assert.deepEqual(identities.labelsOf(300), ['k8s:a=1']);
  identities.upsert(identities.read(object(300, ['k8s:a=1'])));
  assert.equal(identities.usableIdOf(['k8s:a=1']), 300);
});

test('subscribers hear of what changed, not of what is as it was', () => {
  const identities = filled(object(300, ['k8s:a=1']), object(301, ['k8s:b=1']));
  const heard: string[][] = [];
  const how = (change: IdentityChange) => `${change.before ? '' : '+'}${change.id}${change.after ? '' : '-'}`;
  identities.subscribe((changes) => heard.push(changes.map(how)));
  identities.replaceAll([object(300, ['k8s:a=1']), object(302, ['k8s:c=1'])].map((each) => identities.read(each)));
  identities.markInitialized();
  identities.markInitialized();
  identities.upsert(identities.read(object(300, ['k8s:a=1'], 5)));
  assert.deepEqual(heard, [['+302', '301-'], [], ['300']]);
});

test('the store agrees with a plain map, whatever comes and goes', () => {
  const id = fc.integer({ min: 256, max: 262 });
  const labels = fc.constantFrom(['k8s:a=1'], ['k8s:a=1', 'k8s:b=1'], ['k8s:b=1']);
  const step = fc.record({ id, labels, remove: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const identities = new Identities();
      const plain = new Map<number, readonly string[]>();
      for (const each of steps) {
        if (each.remove) {
          identities.delete(String(each.id));
          plain.delete(each.id);
        } else {
          identities.upsert(identities.read(object(each.id, each.labels)));
          plain.set(each.id, each.labels);
        }
        for (const wanted of [['k8s:a=1'], ['k8s:a=1', 'k8s:b=1'], ['k8s:b=1']]) {
          const ids = [...plain].filter(([, set]) => set.join() === wanted.join()).map(([number]) => number);
          assert.equal(identities.usableIdOf(wanted), ids.length === 0 ? undefined : Math.min(...ids));
        }
      }
      assert.deepEqual([...identities.ids()].sort(), [...plain.keys()].sort());
    }),
  );
});

test('candidates begin at a hash within 24 bits, go on one by one and end in a circle', () => {
  const [first = 0, second] = identityCandidates(['k8s:a=1']);
  assert.ok(first >= IDENTITY_MIN && first <= IDENTITY_MAX);
  assert.equal(second, first === IDENTITY_MAX ? IDENTITY_MIN : first + 1);
  assert.notEqual(identityCandidates(['k8s:a=2']).next().value, first);
});

test('keys that no set has are forgotten at the second sweep, and those in use never', () => {
  const sets = new LabelSets();
  const kept = sets.of(['k8s:a=1', 'k8s:b=1']);
  const young = sets.of(['k8s:a=2', 'k8s:c=1']);
  sets.of(['k8s:d=1']);
  sets.sweep([kept]);
  assert.deepEqual(sets.labelsOf(young), ['k8s:a=2', 'k8s:c=1']);
  sets.of(['k8s:c=2']);
  sets.sweep([kept]);
  assert.equal(sets.size, 3, 'c was used anew since the first sweep, d was not');
  sets.sweep([kept]);
  assert.deepEqual([sets.size, sets.find(['k8s:c=1'])], [2, undefined]);
  assert.deepEqual(sets.labelsOf(kept), ['k8s:a=1', 'k8s:b=1']);
  assert.deepEqual(sets.labelsOf(sets.of(['k8s:e=1', 'k8s:a=1'])), ['k8s:e=1', 'k8s:a=1']);
});

test('a set gives back its labels, whatever they are, and no two sets are one text', () => {
  const label = fc.oneof(
    fc.tuple(fc.nat({ max: 9_000 }), fc.constantFrom('', '1', 'x.y-z')).map(([key, value]) => `k8s:k${key}=${value}`),
    fc.constantFrom('k8s:a=b=c', 'no value', '', 'k8s:ü=1', 'k8s:a=\u00c1', 'k8s:a=\u20ac', 'k8s:=', '\u00c0'),
  );
  const labels = fc.array(label, { maxLength: 12 });
  const sets = new LabelSets();
  for (let key = 0; key < 5_000; key += 1) sets.of([`k8s:k${key}=1`]);
  fc.assert(
    fc.property(labels, labels, (one, other) => {
      assert.deepEqual(sets.labelsOf(sets.of(one)), one);
      assert.equal(sets.of(one) === sets.of(other), isDeepStrictEqual(one, other));
      assert.equal(sets.find(one), sets.of(one));
    }),
  );
});
