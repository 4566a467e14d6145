import assert from 'node:assert/strict';
import { test } from 'node:test';
import { internetAddress, netlinkAddress, packetAddress, parseInternetAddress } from './socket-address.ts';

test('internet addresses of both families survive a round trip', () => {
  for (const address of [Uint8Array.of(10, 0, 0, 1), new Uint8Array(16).fill(7)]) {
    assert.deepEqual(parseInternetAddress(internetAddress(address, 8080)), { address, port: 8080 });
  }
});

test('port is in wire order and the scope of a link-local address in the machine’s', () => {
  const bytes = internetAddress(new Uint8Array(16), 0x1234, 5);
  assert.deepEqual([...bytes.subarray(0, 4)], [10, 0, 0x12, 0x34]);
  assert.deepEqual([...bytes.subarray(24)], [5, 0, 0, 0]);
});

test('netlink address holds the groups as a mask', () => {
  assert.deepEqual([...netlinkAddress({ groups: 0x11 })], [16, 0, 0, 0, 0, 0, 0, 0, 0x11, 0, 0, 0]);
});

test('packet address holds ethertype in wire order, device and link address', () => {
  const bytes = packetAddress({ ifindex: 3, ethertype: 0x0806, mac: Uint8Array.of(2, 0, 0, 0, 0, 9) });
  assert.deepEqual([...bytes], [17, 0, 8, 6, 3, 0, 0, 0, 0, 0, 0, 6, 2, 0, 0, 0, 0, 9, 0, 0]);
});

test('address of another family is refused', () => {
  assert.throws(() => parseInternetAddress(netlinkAddress()), /family 16 is neither/);
});
