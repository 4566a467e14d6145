import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress, parseMac, parsePrefix } from '@sluice/net';
import { damagedBytes, holds } from '@sluice/testing';
import fc from 'fast-check';
import { decodeInterfaceAddress, encodeAddressSpec } from './address.ts';
import { AttributeWriter, decodeAttributes } from './attributes.ts';
import { decodeDeviceSettings } from './device-settings.ts';
import { NetlinkError } from './error.ts';
import { decodeFilter, decodeFilterPlace, encodeFiltersQuery } from './filter.ts';
import { decodeLink, encodeLinkSpec } from './link.ts';
import { decodeMessages, encodeMessage } from './message.ts';
import { decodeNeighbour, encodeNeighbourSpec } from './neighbour.ts';
import { decodeRoute, encodeRouteSpec } from './route.ts';
import { decodeRule } from './rule.ts';
import { decodeChanges } from './subscription.ts';

const gateway = parseAddress('fd00::1');
const mac = parseMac('02:00:00:00:00:01');

/** Bodies that each decoder takes as they are. */
const bodies: Record<string, { decode: (body: Uint8Array) => unknown; valid: Uint8Array }> = {
  veth: {
    decode: decodeLink,
    valid: encodeLinkSpec({ kind: 'veth', name: 'a', mtu: 1400, mac, peer: { name: 'b', arp: false } }),
  },
  vxlan: { decode: decodeLink, valid: encodeLinkSpec({ kind: 'vxlan', name: 'v', port: 8472, external: true }) },
  address: { decode: decodeInterfaceAddress, valid: encodeAddressSpec({ ifindex: 3, address: gateway, length: 64 }) },
  route: {
    decode: decodeRoute,
    valid: encodeRouteSpec({ destination: parsePrefix('10.0.0.0/8'), gateway, ifindex: 2, mtu: 1450 }),
  },
  neighbour: { decode: decodeNeighbour, valid: encodeNeighbourSpec({ ifindex: 3, address: gateway, mac }) },
  settings: { decode: decodeDeviceSettings, valid: Uint8Array.of(2, 0, 0, 0, 8, 0, 1, 0, 255, 255, 255, 255) },
  filter: {
    decode: (body) => decodeFilter(body, 'ingress'),
    valid: new AttributeWriter(Uint8Array.from({ length: 20 }, () => 1))
      .string(1, 'bpf')
      .nested(2, (options) => options.string(7, 'x').u32(11, 5))
      .finish(),
  },
  qdisc: {
    decode: decodeFilterPlace,
    valid: new AttributeWriter(encodeFiltersQuery(3, 'ingress').map((byte) => (byte === 0xf2 ? 0xf1 : byte)))
      .string(1, 'clsact')
      .finish(),
  },
  rule: { decode: decodeRule, valid: Uint8Array.of(2, 8, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0, 8, 0, 1, 0, 10, 0, 0, 0) },
};

for (const [name, { decode, valid }] of Object.entries(bodies)) {
  test(`${name} message with any bytes changed or cut off is read or refused, nothing else`, () => {
    assert.notEqual(decode(valid), undefined);
    holds(
      fc.property(damagedBytes(valid), (body) => onlyNetlinkErrors(() => decode(body))),
      3000,
    );
  });
}

test('any bytes as a datagram are messages or refused', () => {
  holds(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => onlyNetlinkErrors(() => decodeMessages(bytes))),
    3000,
  );
});

test('datagram cut off anywhere inside a message is refused', () => {
  const datagram = encodeMessage({
    type: 16,
    flags: 0,
    sequence: 1,
    port: 0,
    body: bodies.veth?.valid ?? new Uint8Array(),
  });
  for (let length = 1; length < datagram.length; length++) {
    assert.throws(() => decodeMessages(datagram.subarray(0, length)), { code: 'MALFORMED' }, `${length} bytes`);
  }
});

test('attribute that claims more bytes than there are is refused with its place', () => {
  assert.throws(() => decodeAttributes(Uint8Array.of(9, 0, 1, 0, 1, 2, 3, 4)), {
    message: 'malformed netlink message: attribute length 9 at offset 0 of 8',
  });
});

test('attribute that is too short for its type is refused', () => {
  const attributes = decodeAttributes(Uint8Array.of(6, 0, 4, 0, 1, 2, 0, 0));
  assert.throws(() => attributes.u32(4), {
    message: 'malformed netlink message: attribute 4 has 2 bytes instead of 4',
  });
});

test('unreadable notification asks for everything to be read anew', () => {
  const [change] = decodeChanges(Uint8Array.of(200, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
  assert.equal(change?.topic, 'missed');
});

test('IPv4-mapped IPv6 address has no row: it would alias the IPv4 one', () => {
  const body = encodeAddressSpec({ ifindex: 3, address: gateway, length: 128 });
  const mapped = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1);
  body.set(mapped, 12);
  assert.equal(decodeInterfaceAddress(body), undefined);
});

function onlyNetlinkErrors(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
  }
}
