import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QueryError, secondPart } from './query.ts';

test("a path's second part is decoded, and one that cannot be is the question's fault", () => {
  assert.equal(secondPart(new URL('http://agent/maps')), '');
  assert.equal(secondPart(new URL('http://agent/maps/a%2Fb/c')), 'a/b');
  for (const path of ['/maps/%', '/tables/%E0']) {
    assert.throws(() => secondPart(new URL(`http://agent${path}`)), QueryError, path);
  }
});
