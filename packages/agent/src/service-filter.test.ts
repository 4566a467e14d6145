import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serviceFilter } from './service-filter.ts';

function wanted(query: string): string[] {
  const isWanted = serviceFilter(new URLSearchParams(query));
  return ['shop/web', 'shop/web-2:http', 'shop/db', 'other/web'].filter((service) => isWanted([service]));
}

test('services are wanted by the beginning of their name, by their namespace, or by both; several mean any', () => {
  assert.deepEqual(wanted('service=web'), ['shop/web', 'shop/web-2:http', 'other/web']);
  assert.deepEqual(wanted('service=shop/web'), ['shop/web', 'shop/web-2:http']);
  assert.deepEqual(wanted('namespace=shop&service=web&service=db'), ['shop/web', 'shop/web-2:http', 'shop/db']);
  assert.deepEqual(wanted('namespace=sho'), []);
});

test('what is of no service is wanted where nothing is asked for, and one of several services is enough', () => {
  assert.equal(serviceFilter(new URLSearchParams())([]), true);
  const ofShop = serviceFilter(new URLSearchParams('namespace=shop'));
  assert.equal(ofShop([]), false);
  assert.equal(ofShop(['a/b', 'shop/web']), true);
});
