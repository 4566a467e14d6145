import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ephemeralPorts } from './port-range.ts';

const nodePorts = { first: 30_000, last: 32_767 };

test("NodePorts below the ports that the kernel gives are nobody else's", () => {
  assert.equal(ephemeralPorts(nodePorts, '32768\t60999', ''), undefined);
});

test('those that the kernel may give are told, but for those that are reserved', () => {
  assert.deepEqual(ephemeralPorts(nodePorts, '1024\t65535', ''), nodePorts);
  assert.deepEqual(ephemeralPorts(nodePorts, '32000\t60999', '8080,40000-40010'), { first: 32_000, last: 32_767 });
  assert.deepEqual(ephemeralPorts(nodePorts, '1024\t65535', '30000-32000'), { first: 32_001, last: 32_767 });
  assert.equal(ephemeralPorts(nodePorts, '1024\t65535', '80,30000-31000,31001-40000'), undefined);
});

test('a setting that cannot be read says nothing', () => {
  assert.equal(ephemeralPorts(nodePorts, '', ''), undefined);
  assert.deepEqual(ephemeralPorts(nodePorts, '30000 30001', 'all of them'), { first: 30_000, last: 30_001 });
});
