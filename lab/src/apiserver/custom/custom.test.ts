import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FieldErrors } from '../field-errors.ts';
import type { Json } from '../object.ts';
import { compileJsonPath } from './json-path.ts';
import { applyDefaults, prune, type StructuralSchema } from './structural.ts';
import { validateStructural } from './validate.ts';

function problems(schema: StructuralSchema, value: Json): string[] {
  const errors = new FieldErrors();
  validateStructural(schema, value, 'spec', errors);
  return errors.causes.map(({ field, message }) => `${field}: ${message}`);
}

test('fields that the schema does not know are dropped and named, unless it keeps them', () => {
  const schema: StructuralSchema = {
    type: 'object',
    properties: {
      spec: {
        type: 'object',
        properties: { a: { type: 'string' }, free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    },
  };
  const { value, unknownFields } = prune(schema, {
    metadata: { name: 'x' },
    spec: { a: 'b', odd: 1, free: { anything: 1 } },
    top: 1,
  });
  assert.deepEqual(value.spec, { a: 'b', free: { anything: 1 } });
  assert.deepEqual(unknownFields, ['spec.odd', 'top']);
});

test('defaults are set where the object around them is', () => {
  const schema: StructuralSchema = {
    type: 'object',
    properties: {
      list: { type: 'array', items: { type: 'object', properties: { n: { type: 'integer', default: 3 } } } },
      absent: { type: 'object', properties: { n: { type: 'integer', default: 1 } } },
    },
  };
  const value = { list: [{}, { n: 5 }] };
  applyDefaults(schema, value);
  assert.deepEqual(value, { list: [{ n: 3 }, { n: 5 }] });
});

test('types, ranges, patterns, formats and keys are checked', () => {
  assert.deepEqual(problems({ type: 'integer' }, 'x'), [
    'spec: Invalid value: "string": spec in body must be of type integer: "string"',
  ]);
  assert.equal(problems({ type: 'integer', minimum: 1, maximum: 5 }, 7).length, 1);
  assert.equal(problems({ type: 'string', pattern: '^a+$' }, 'b').length, 1);
  assert.equal(problems({ type: 'string', format: 'cidr' }, '10.0.0.0/8').length, 0);
  assert.equal(problems({ type: 'string', format: 'cidr' }, '10.0.0.0').length, 1);
  assert.equal(problems({ 'x-kubernetes-int-or-string': true }, 'x').length, 0);
  assert.equal(problems({ 'x-kubernetes-int-or-string': true }, true).length, 1);
  assert.deepEqual(problems({ type: 'object', required: ['a'] }, {}), ['spec.a: Required value']);
  const map: StructuralSchema = {
    type: 'array',
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['k'],
    items: { type: 'object', properties: { k: { type: 'string' } } },
  };
  assert.deepEqual(problems(map, [{ k: 'a' }, { k: 'a' }]), ['spec[1]: Duplicate value: {"k":"a"}']);
  assert.equal(problems({ oneOf: [{ type: 'string' }, { type: 'integer' }] }, true).length, 1);
});

test('printer columns find members, elements and elements by a condition', () => {
  const object = {
    spec: { list: [1, 2], 'a.b': 'dotted' },
    status: {
      conditions: [
        { type: 'Ready', status: 'True' },
        { type: 'Other', status: 'False' },
      ],
    },
  };
  const find = (path: string) => compileJsonPath(path)(object);
  assert.deepEqual(find('.spec.list[1]'), [2]);
  assert.deepEqual(find('.spec.list[*]'), [1, 2]);
  assert.deepEqual(find(".spec['a.b']"), ['dotted']);
  assert.deepEqual(find('.spec.a\\.b'), ['dotted']);
  assert.deepEqual(find('.status.conditions[?(@.type=="Ready")].status'), ['True']);
  assert.deepEqual(find('.status.conditions[?(@.type!="Ready")].status'), ['False']);
  assert.deepEqual(find('.nothing.there'), []);
  assert.throws(() => compileJsonPath('.a[?('), /cannot be read at "\[\?\("/);
});
