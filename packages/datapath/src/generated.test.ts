import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress, parseMac } from '@sluice/net';
import fc from 'fast-check';
import * as generated from './generated/index.ts';

interface AnyCodec {
  readonly size: number;
  encode(value: unknown, view: DataView, offset: number): void;
  decode(view: DataView, offset: number): unknown;
}

function isCodec(value: unknown): value is AnyCodec {
  return typeof value === 'object' && value !== null && 'encode' in value && 'decode' in value;
}

const exported: Readonly<Record<string, unknown>> = generated;
const codecs = Object.entries(exported).flatMap(([name, value]): [string, AnyCodec][] =>
  isCodec(value) ? [[name, value]] : [],
);

for (const [name, codec] of codecs) {
  test(`${name} reads back what it writes, and writes nothing beyond its size`, () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: codec.size, maxLength: codec.size }), (bytes) => {
        const value = codec.decode(new DataView(bytes.buffer), 0);
        const room = new Uint8Array(codec.size + 8).fill(0xee);
        const view = new DataView(room.buffer);
        codec.encode(value, view, 4);
        assert.deepEqual(codec.decode(view, 4), value);
        assert.deepEqual([...room.subarray(0, 4), ...room.subarray(codec.size + 4)], Array(8).fill(0xee));
      }),
      { numRuns: 50 },
    );
  });
}

test('each map has codecs of the sizes that the kernel sees', () => {
  for (const { key, value, keySize, valueSize } of Object.values(generated.mapDescriptors)) {
    assert.deepEqual([key.size, value.size], [keySize, valueSize]);
  }
});

test('a frontend is laid out as in C: address and port in wire order, reserved room zero', () => {
  const { frontendsMap } = generated;
  const key = new Uint8Array(frontendsMap.keySize).fill(0xff);
  const address = parseAddress('10.96.0.10');
  frontendsMap.key.encode({ address, port: 53, protocol: 17, scope: 0 }, new DataView(key.buffer), 0);
  assert.equal(Buffer.from(key).toString('hex'), '00000000000000000000ffff0a60000a00351100');
  const value = new Uint8Array(frontendsMap.valueSize).fill(0xff);
  const numbers = {
    serviceId: 1,
    generation: 2,
    backendCount: 3,
    affinitySeconds: 4,
    flags: 5,
    affinityId: 6,
    maglevSize: 7,
  };
  frontendsMap.value.encode(numbers, new DataView(value.buffer), 0);
  const words = Array.from({ length: 8 }, (_, index) => new DataView(value.buffer).getUint32(index * 4, true));
  assert.deepEqual(words, [1, 2, 3, 4, 5, 6, 7, 0]);
});

test('configuration is bytes by the names in C', () => {
  const { config_host_mac, config_gateway_ipv6, config_ipv6_enabled } = generated.encodeConfiguration({
    bindProtection: 0,
    hostNetnsCookie: 0n,
    dryRun: 0,
    gatewayIpv4: undefined,
    gatewayIpv6: parseAddress('fd00::1'),
    hostIfindex: 1,
    hostMac: parseMac('02:00:00:00:00:09'),
    hostRouting: 1,
    ipv4Enabled: 1,
    ipv6Enabled: 1,
    masqueradeIpv4: 1,
    masqueradeIpv6: 1,
    nodeIdentity: 6,
    underlayIpv4: undefined,
    underlayIpv6: undefined,
    nodePortMax: 32_767,
    maglevSeedIpv4: 0x71dc_da46,
    maglevSeedIpv6: 0x9250_5688,
    nodePortMin: 30_000,
    tunnelPort: 8472,
    overlayIfindex: 2,
  });
  assert.deepEqual([...(config_host_mac ?? [])], [2, 0, 0, 0, 0, 9]);
  assert.equal(config_gateway_ipv6?.length, 16);
  assert.deepEqual([...(config_ipv6_enabled ?? [])], [1]);
});
