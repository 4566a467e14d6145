import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress, parsePrefix } from '@sluice/net';
import { fakeClock } from '@sluice/runtime';
import { AddressInUseError, AddressPool, NodeAddresses, PoolExhaustedError } from './index.ts';

function pool(prefixes: string[], options: { cooldownMs?: number; clock?: ReturnType<typeof fakeClock> } = {}) {
  const family = prefixes[0]?.includes(':') ? 6 : 4;
  return new AddressPool({
    family,
    prefixes: prefixes.map((text) => parsePrefix(text)),
    clock: fakeClock(),
    ...options,
  });
}

test('the network, the router and the broadcast address are never given to a pod', () => {
  const small = pool(['10.0.0.0/29']);
  const given = Array.from({ length: 5 }, (_, index) => small.allocate(`pod-${index}`));
  assert.deepEqual(given, ['10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5', '10.0.0.6']);
  assert.equal(small.router, '10.0.0.1');
});

test('exhaustion says how many addresses there are and how to grow', () => {
  const small = pool(['10.0.0.0/30']);
  small.allocate('first');
  assert.throws(
    () => small.allocate('second'),
    (error: unknown) => {
      assert.ok(error instanceof PoolExhaustedError);
      assert.match(error.message, /all 1 IPv4 addresses of 10\.0\.0\.0\/30 are in use \(1 by pods\).*podCIDRs/);
      return true;
    },
  );
});

test('a released address rests before somebody else gets it', () => {
  const clock = fakeClock();
  const small = pool(['10.0.0.0/30'], { clock, cooldownMs: 1000 });
  const address = small.allocate('first');
  assert.equal(small.release(address), true);
  assert.throws(() => small.allocate('second'), /1 rest after their release/);
  clock.advance(1000);
  assert.equal(small.allocate('second'), address);
});

test('the search goes on behind the address given last', () => {
  const clock = fakeClock();
  const large = pool(['10.0.0.0/24'], { clock, cooldownMs: 0 });
  large.release(large.allocate('first'));
  clock.advance(1);
  assert.equal(large.allocate('second'), '10.0.0.3');
});

test('a second prefix is used when the first is full, and the first again when it has room', () => {
  const clock = fakeClock();
  const two = pool(['10.0.0.0/30', '10.0.1.0/30'], { clock, cooldownMs: 10 });
  assert.deepEqual([two.allocate('a'), two.allocate('b')], ['10.0.0.2', '10.0.1.2']);
  two.release(parseAddress('10.0.0.2'));
  clock.advance(10);
  assert.equal(two.allocate('c'), '10.0.0.2');
});

test('a restored endpoint keeps its address, also when the prefix is another one now', () => {
  const moved = pool(['10.0.0.0/24']);
  moved.reserve(parseAddress('10.9.9.9'), 'old');
  moved.reserve(parseAddress('10.0.0.2'), 'kept');
  assert.equal(moved.allocate('new'), '10.0.0.3');
  assert.throws(() => moved.reserve(parseAddress('10.0.0.2'), 'thief'), AddressInUseError);
});

test('IPv6 starts behind the router and does not run out of a /64', () => {
  const wide = pool(['fd00:10:244::/64']);
  assert.equal(wide.router, 'fd00:10:244::1');
  assert.equal(wide.allocate('pod'), 'fd00:10:244::2');
  assert.equal(wide.usage().capacity, 2n ** 64n - 2n);
});

test('a pod gets an address of each family or none', () => {
  const addresses = new NodeAddresses({ ipv4: true, ipv6: true, clock: fakeClock() });
  addresses.setPrefixes([parsePrefix('10.0.0.0/24'), parsePrefix('fd00::/126')]);
  assert.deepEqual(addresses.allocate('a'), { ipv4: '10.0.0.2', ipv6: 'fd00::2' });
  assert.deepEqual(addresses.allocate('b'), { ipv4: '10.0.0.3', ipv6: 'fd00::3' });
  assert.throws(() => addresses.allocate('c'), /IPv6/);
  assert.equal(addresses.ipv4?.usage().allocated, 2);
  assert.match(addresses.exhausted()?.message ?? '', /IPv6/);
});

test('a node without any CIDR is not ready, one with a single family gives that one', () => {
  const addresses = new NodeAddresses({ ipv4: true, ipv6: true, clock: fakeClock() });
  assert.equal(addresses.ready, false);
  assert.throws(() => addresses.allocate('a'), /the node has no pod CIDR/);
  addresses.setPrefixes([parsePrefix('10.0.0.0/24')]);
  assert.equal(addresses.ready, true);
  assert.deepEqual(addresses.allocate('a'), { ipv4: '10.0.0.2' });
});

test('what was given and what came back is counted, also what nobody has seen', () => {
  const addresses = pool(['10.0.0.0/28']);
  const [first, second] = ['first', 'second', 'third'].map((owner) => addresses.allocate(owner));
  assert.ok(first && second);
  addresses.release(first);
  addresses.release(first);
  addresses.withdraw(second);
  const { given, returned, allocated } = addresses.usage();
  assert.deepEqual([given, returned, allocated], [3, 2, 1]);
});

test('addresses that no pod CIDR has any more are known; without a pod CIDR of their family nothing is said', () => {
  const addresses = new NodeAddresses({ ipv4: true, ipv6: true });
  const pod = { ipv4: parseAddress('10.0.3.2'), ipv6: parseAddress('fd00:3::2') };
  assert.deepEqual(addresses.outside(pod), []);
  addresses.setPrefixes([parsePrefix('10.0.2.0/24')]);
  assert.deepEqual(addresses.outside(pod), ['10.0.3.2']);
  addresses.setPrefixes([parsePrefix('10.0.3.0/24'), parsePrefix('fd00:2::/64')]);
  assert.deepEqual(addresses.outside(pod), ['fd00:3::2']);
});
