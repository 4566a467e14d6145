import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatPrefix, type Prefix, parseAddress, prefixContains, prefixesOverlap, prefixOf } from '@sluice/net';
import fc from 'fast-check';
import { PrefixOwners } from './prefix-owners.ts';

const address = fc.oneof(
  fc.tuple(fc.nat(3), fc.constantFrom(0, 64, 128, 192, 255)).map(([net, host]) => parseAddress(`10.0.${net}.${host}`)),
  fc.tuple(fc.nat(3), fc.nat(3)).map(([net, host]) => parseAddress(`fd00::${net}:${host}`)),
);
const prefix = fc.tuple(address, fc.nat(10)).map(([of, less]) => prefixOf(of, (of.includes(':') ? 128 : 32) - less));

test('answers as a look at each of them would', () => {
  fc.assert(
    fc.property(fc.array(prefix, { maxLength: 20 }), prefix, address, (prefixes, asked, held) => {
      const owners = new PrefixOwners();
      const all: Prefix[] = [];
      for (const each of prefixes) {
        if (all.some((other) => prefixesOverlap(other, each))) continue;
        owners.add(each, formatPrefix(each));
        all.push(each);
      }
      const overlapping = owners.overlapping(asked);
      assert.equal(
        overlapping !== undefined,
        all.some((each) => prefixesOverlap(each, asked)),
      );
      if (overlapping) assert.ok(prefixesOverlap(overlapping.prefix, asked));
      const holder = all.find((each) => prefixContains(each, held));
      assert.equal(owners.holding(held)?.owner, holder && formatPrefix(holder));
    }),
  );
});
