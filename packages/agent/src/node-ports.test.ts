import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress, parsePrefix } from '@sluice/net';
import { nodePortLoopback, nodePortsReport } from './node-ports.ts';

const networks = (...texts: readonly string[]) => texts.map((text) => parsePrefix(text));

test('loopback has NodePorts only where a network of its own is named', () => {
  assert.deepEqual(nodePortLoopback([]), []);
  assert.deepEqual(nodePortLoopback(networks('0.0.0.0/0', '::/0', '10.10.30.0/24')), []);
  assert.deepEqual(nodePortLoopback(networks('127.0.0.0/8')), ['127.0.0.1']);
  assert.deepEqual(nodePortLoopback(networks('127.0.0.1/32', '::1/128')), ['127.0.0.1', '::1']);
  assert.deepEqual(nodePortLoopback(networks('127.0.0.2/32')), [], 'no address of the device lo');
});

test('the report has the range, the addresses with NodePorts and those without', () => {
  const nodePort = { range: { first: 30_000, last: 32_767 }, addresses: networks('10.10.30.0/24', '127.0.0.0/8') };
  const [served, without] = [[parseAddress('10.10.30.101')], [parseAddress('10.244.0.1')]];
  assert.deepEqual(nodePortsReport({ nodePort } as never, { nodePortAddresses: () => ({ served, without }) }), {
    first: 30_000,
    last: 32_767,
    addresses: ['10.10.30.101', '127.0.0.1'],
    without: ['10.244.0.1'],
  });
});
