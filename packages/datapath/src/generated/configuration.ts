// Generated from bpf/ by "npm run generate": do not edit.
import { be16Codec, encodeValue, u16Codec, u32Codec, u64Codec, u8Codec } from '@sluice/bpf';
import { type Address, type Mac, addressCodec, macCodec } from '@sluice/net';

export interface Configuration {
  readonly bindProtection: number;
  readonly dryRun: number;
  readonly gatewayIpv4: Address | undefined;
  readonly gatewayIpv6: Address | undefined;
  readonly hostIfindex: number;
  readonly hostMac: Mac;
  readonly hostNetnsCookie: bigint;
  readonly hostRouting: number;
  readonly ipv4Enabled: number;
  readonly ipv6Enabled: number;
  readonly maglevSeedIpv4: number;
  readonly maglevSeedIpv6: number;
  readonly masqueradeIpv4: number;
  readonly masqueradeIpv6: number;
  readonly nodeIdentity: number;
  readonly nodePortMax: number;
  readonly nodePortMin: number;
  readonly overlayIfindex: number;
  readonly tunnelPort: number;
  readonly underlayIpv4: Address | undefined;
  readonly underlayIpv6: Address | undefined;
}

/** By the variable in C; the bytes for its place in `.rodata`. */
export function encodeConfiguration(configuration: Configuration): Record<string, Uint8Array> {
  return {
    config_bind_protection: encodeValue(u8Codec, configuration.bindProtection),
    config_dry_run: encodeValue(u8Codec, configuration.dryRun),
    config_gateway_ipv4: encodeValue(addressCodec, configuration.gatewayIpv4),
    config_gateway_ipv6: encodeValue(addressCodec, configuration.gatewayIpv6),
    config_host_ifindex: encodeValue(u32Codec, configuration.hostIfindex),
    config_host_mac: encodeValue(macCodec, configuration.hostMac),
    config_host_netns_cookie: encodeValue(u64Codec, configuration.hostNetnsCookie),
    config_host_routing: encodeValue(u8Codec, configuration.hostRouting),
    config_ipv4_enabled: encodeValue(u8Codec, configuration.ipv4Enabled),
    config_ipv6_enabled: encodeValue(u8Codec, configuration.ipv6Enabled),
    config_maglev_seed_ipv4: encodeValue(u32Codec, configuration.maglevSeedIpv4),
    config_maglev_seed_ipv6: encodeValue(u32Codec, configuration.maglevSeedIpv6),
    config_masquerade_ipv4: encodeValue(u8Codec, configuration.masqueradeIpv4),
    config_masquerade_ipv6: encodeValue(u8Codec, configuration.masqueradeIpv6),
    config_node_identity: encodeValue(u32Codec, configuration.nodeIdentity),
    config_node_port_max: encodeValue(u16Codec, configuration.nodePortMax),
    config_node_port_min: encodeValue(u16Codec, configuration.nodePortMin),
    config_overlay_ifindex: encodeValue(u32Codec, configuration.overlayIfindex),
    config_tunnel_port: encodeValue(be16Codec, configuration.tunnelPort),
    config_underlay_ipv4: encodeValue(addressCodec, configuration.underlayIpv4),
    config_underlay_ipv6: encodeValue(addressCodec, configuration.underlayIpv6),
  };
}
