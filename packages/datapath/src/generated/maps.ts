// Generated from bpf/ by "npm run generate": do not edit.
import { type MapDescriptor, i32Codec, nothingCodec, u32Codec, u64Codec } from '@sluice/bpf';
import { type Address, addressCodec } from '@sluice/net';
import { type Affinity, type AffinityKey, type Backend, type ConnectedSocket, type ConnectedTranslation, type Connection, type Counter, type CounterKey, type Device, type Endpoint, type EventBudget, type Explanation, type FragmentKey, type FragmentPorts, type Frontend, type FrontendKey, type HeldFragment, type IpcacheEntry, type IpcachePrefixKey, type KernelDropKey, type KernelDropSettings, type KernelFunction, type MaglevChunk, type MaglevKey, type NetnsEndpoint, type Packet, type Peer, type Rests, type Shortage, type Slot, type SlotKey, type SocketTranslations, type SourceRangeKey, type Takeover, type Tuple, affinityCodec, affinityKeyCodec, backendCodec, connectedSocketCodec, connectedTranslationCodec, connectionCodec, counterCodec, counterKeyCodec, deviceCodec, endpointCodec, eventBudgetCodec, explanationCodec, fragmentKeyCodec, fragmentPortsCodec, frontendCodec, frontendKeyCodec, heldFragmentCodec, ipcacheEntryCodec, ipcachePrefixKeyCodec, kernelDropKeyCodec, kernelDropSettingsCodec, kernelFunctionCodec, maglevChunkCodec, maglevKeyCodec, netnsEndpointCodec, packetCodec, peerCodec, restsCodec, shortageCodec, slotCodec, slotKeyCodec, socketTranslationsCodec, sourceRangeKeyCodec, takeoverCodec, tupleCodec } from './structs.ts';

export const affinitiesMap: MapDescriptor<AffinityKey, Affinity> = {
  name: 'affinities',
  type: 9,
  keySize: 20,
  valueSize: 16,
  maxEntries: 12288,
  flags: 0,
  key: affinityKeyCodec,
  value: affinityCodec,
  keyLayout: `struct affinity_key, 20 bytes
   0   16 client: struct address
   0   16   words: __be32[4]
  16    4 service_id: __u32`,
  valueLayout: `struct affinity, 16 bytes
   0    8 last_used_ns: __u64
   8    4 backend_id: __u32
  12    4 generation: __u32`,
};

export const backendsMap: MapDescriptor<number, Backend> = {
  name: 'backends',
  type: 1,
  keySize: 4,
  valueSize: 32,
  maxEntries: 262144,
  flags: 1,
  key: u32Codec,
  value: backendCodec,
  keyLayout: '__u32, 4 bytes',
  valueLayout: `struct backend, 32 bytes
   0   16 address: struct address
   0   16   words: __be32[4]
  16    2 port: __be16
  18    1 protocol: __u8
  19    1 state: __u8
  20   12 reserved: __u32[3]`,
};

export const connectedSocketsMap: MapDescriptor<number, ConnectedSocket> = {
  name: 'connected_sockets',
  type: 2,
  keySize: 4,
  valueSize: 64,
  maxEntries: 8192,
  flags: 0,
  key: u32Codec,
  value: connectedSocketCodec,
  keyLayout: '__u32, 4 bytes',
  valueLayout: `struct connected_socket, 64 bytes
   0    4 lock: struct bpf_spin_lock
   0    4   val: __u32
   4    4 backend_id: __u32
   8   16 frontend: struct address
   8   16   words: __be32[4]
  24   16 backend: struct address
  24   16   words: __be32[4]
  40    2 frontend_port: __be16
  42    2 backend_port: __be16
  44    4 generation: __u32
  48    8 netns_cookie: __u64
  56    4 round: __u32
  60    1 protocol: __u8
  61    3 reserved: __u8[3]`,
};

export const connectedTranslationsMap: MapDescriptor<number, ConnectedTranslation> = {
  name: 'connected_translations',
  type: 24,
  keySize: 4,
  valueSize: 48,
  maxEntries: 0,
  flags: 1,
  key: i32Codec,
  value: connectedTranslationCodec,
  keyLayout: 'int, 4 bytes',
  valueLayout: `struct connected_translation, 48 bytes
   0    4 lock: struct bpf_spin_lock
   0    4   val: __u32
   4    4 backend_id: __u32
   8   16 frontend: struct address
   8   16   words: __be32[4]
  24   16 backend: struct address
  24   16   words: __be32[4]
  40    2 frontend_port: __be16
  42    2 backend_port: __be16
  44    4 generation: __u32`,
};

export const connectionDraftsMap: MapDescriptor<number, Connection> = {
  name: 'connection_drafts',
  type: 6,
  keySize: 4,
  valueSize: 120,
  maxEntries: 1,
  flags: 0,
  key: u32Codec,
  value: connectionCodec,
  keyLayout: '__u32, 4 bytes',
  valueLayout: `struct connection, 120 bytes
   0    8 expires_ns: __u64
   8    8 created_ns: __u64
  16   16 packets: __u64[2]
  32   16 bytes: __u64[2]
  48    4 source_identity: __u32
  52    4 destination_identity: __u32
  56    4 backend_id: __u32
  60    4 generation: __u32
  64   20 dnat: struct tuple_end
  64   16   address: struct address
  64   16     words: __be32[4]
  80    2   port: __be16
  82    2   reserved: __u8[2]
  84   20 snat: struct tuple_end
  84   16   address: struct address
  84   16     words: __be32[4]
 100    2   port: __be16
 102    2   reserved: __u8[2]
 104    1 state: __u8
 105    1 kind: __u8
 106    2 tcp_flags: __u8[2]
 108    4 flags: __u32
 112    4 told: __u32
 116    2 client_port: __be16
 118    2 former_port: __be16`,
};

export const conntrackMap: MapDescriptor<Tuple, Connection> = {
  name: 'conntrack',
  type: 1,
  keySize: 40,
  valueSize: 120,
  maxEntries: 131072,
  flags: 1,
  key: tupleCodec,
  value: connectionCodec,
  keyLayout: `struct tuple, 40 bytes
   0   16 source: struct address
   0   16   words: __be32[4]
  16   16 destination: struct address
  16   16   words: __be32[4]
  32    2 source_port: __be16
  34    2 destination_port: __be16
  36    1 protocol: __u8
  37    3 reserved: __u8[3]`,
  valueLayout: `struct connection, 120 bytes
   0    8 expires_ns: __u64
   8    8 created_ns: __u64
  16   16 packets: __u64[2]
  32   16 bytes: __u64[2]
  48    4 source_identity: __u32
  52    4 destination_identity: __u32
  56    4 backend_id: __u32
  60    4 generation: __u32
  64   20 dnat: struct tuple_end
  64   16   address: struct address
  64   16     words: __be32[4]
  80    2   port: __be16
  82    2   reserved: __u8[2]
  84   20 snat: struct tuple_end
  84   16   address: struct address
  84   16     words: __be32[4]
 100    2   port: __be16
 102    2   reserved: __u8[2]
 104    1 state: __u8
 105    1 kind: __u8
 106    2 tcp_flags: __u8[2]
 108    4 flags: __u32
 112    4 told: __u32
 116    2 client_port: __be16
 118    2 former_port: __be16`,
};

export const conntrackNewMap: MapDescriptor<Tuple, Connection> = {
  name: 'conntrack_new',
  type: 9,
  keySize: 40,
  valueSize: 120,
  maxEntries: 16384,
  flags: 0,
  key: tupleCodec,
  value: connectionCodec,
  keyLayout: `struct tuple, 40 bytes
   0   16 source: struct address
   0   16   words: __be32[4]
  16   16 destination: struct address
  16   16   words: __be32[4]
  32    2 source_port: __be16
  34    2 destination_port: __be16
  36    1 protocol: __u8
  37    3 reserved: __u8[3]`,
  valueLayout: `struct connection, 120 bytes
   0    8 expires_ns: __u64
   8    8 created_ns: __u64
  16   16 packets: __u64[2]
  32   16 bytes: __u64[2]
  48    4 source_identity: __u32
  52    4 destination_identity: __u32
  56    4 backend_id: __u32
  60    4 generation: __u32
  64   20 dnat: struct tuple_end
  64   16   address: struct address
  64   16     words: __be32[4]
  80    2   port: __be16
  82    2   reserved: __u8[2]
  84   20 snat: struct tuple_end
  84   16   address: struct address
  84   16     words: __be32[4]
 100    2   port: __be16
 102    2   reserved: __u8[2]
 104    1 state: __u8
 105    1 kind: __u8
 106    2 tcp_flags: __u8[2]
 108    4 flags: __u32
 112    4 told: __u32
 116    2 client_port: __be16
 118    2 former_port: __be16`,
};

export const countersMap: MapDescriptor<CounterKey, Counter> = {
  name: 'counters',
  type: 5,
  keySize: 4,
  valueSize: 16,
  maxEntries: 256,
  flags: 0,
  key: counterKeyCodec,
  value: counterCodec,
  keyLayout: `struct counter_key, 4 bytes
   0    1 reason: __u8
   1    1 direction: __u8
   2    2 reserved: __u8[2]`,
  valueLayout: `struct counter, 16 bytes
   0    8 packets: __u64
   8    8 bytes: __u64`,
};

export const devicesMap: MapDescriptor<number, Device> = {
  name: 'devices',
  type: 1,
  keySize: 4,
  valueSize: 48,
  maxEntries: 64,
  flags: 1,
  key: u32Codec,
  value: deviceCodec,
  keyLayout: '__u32, 4 bytes',
  valueLayout: `struct device, 48 bytes
   0   16 ipv4: struct address
   0   16   words: __be32[4]
  16   16 ipv6: struct address
  16   16   words: __be32[4]
  32   16 reserved: __u32[4]`,
};

export const endpointsMap: MapDescriptor<Address | undefined, Endpoint> = {
  name: 'endpoints',
  type: 1,
  keySize: 16,
  valueSize: 48,
  maxEntries: 8192,
  flags: 1,
  key: addressCodec,
  value: endpointCodec,
  keyLayout: `struct address, 16 bytes
   0   16 words: __be32[4]`,
  valueLayout: `struct endpoint, 48 bytes
   0    4 id: __u32
   4    4 ifindex: __u32
   8    4 identity: __u32
  12    4 flags: __u32
  16    6 mac: struct mac
  16    6   bytes: __u8[6]
  22    6 node_mac: struct mac
  22    6   bytes: __u8[6]
  28   20 reserved: __u32[5]`,
};

export const eventBudgetsMap: MapDescriptor<number, EventBudget> = {
  name: 'event_budgets',
  type: 6,
  keySize: 4,
  valueSize: 16,
  maxEntries: 4,
  flags: 0,
  key: u32Codec,
  value: eventBudgetCodec,
  keyLayout: '__u32, 4 bytes',
  valueLayout: `struct event_budget, 16 bytes
   0    8 spent_until_ns: __u64
   8    8 withheld: __u64`,
};

export const eventLossesMap: MapDescriptor<number, bigint> = {
  name: 'event_losses',
  type: 6,
  keySize: 4,
  valueSize: 8,
  maxEntries: 4,
  flags: 0,
  key: u32Codec,
  value: u64Codec,
  keyLayout: '__u32, 4 bytes',
  valueLayout: '__u64, 8 bytes',
};

export const eventsMap: MapDescriptor<undefined, undefined> = {
  name: 'events',
  type: 27,
  keySize: 0,
  valueSize: 0,
  maxEntries: 1048576,
  flags: 0,
  key: nothingCodec,
  value: nothingCodec,
  keyLayout: '',
  valueLayout: '',
};

export const explanationsMap: MapDescriptor<number, Explanation> = {
  name: 'explanations',
  type: 2,
  keySize: 4,
  valueSize: 120,
  maxEntries: 1,
  flags: 0,
  key: u32Codec,
  value: explanationCodec,
  keyLayout: '__u32, 4 bytes',
  valueLayout: `struct explanation, 120 bytes
   0   40 tuple: struct tuple
   0   16   source: struct address
   0   16     words: __be32[4]
  16   16   destination: struct address
  16   16     words: __be32[4]
  32    2   source_port: __be16
  34    2   destination_port: __be16
  36    1   protocol: __u8
  37    3   reserved: __u8[3]
  40   20 frontend: struct tuple_end
  40   16   address: struct address
  40   16     words: __be32[4]
  56    2   port: __be16
  58    2   reserved: __u8[2]
  60   16 next_hop: struct address
  60   16   words: __be32[4]
  76    4 source_identity: __u32
  80    4 destination_identity: __u32
  84    4 endpoint_id: __u32
  88    4 ifindex: __u32
  92    4 reason: __u32
  96    4 line: __u32
 100    4 mtu: __u32
 104    4 backend_id: __u32
 108    1 is_told: __u8
 109    1 way: __u8
 110    1 ct_status: __u8
 111    9 reserved: __u8[9]`,
};

export const fragmentsMap: MapDescriptor<FragmentKey, FragmentPorts> = {
  name: 'fragments',
  type: 9,
  keySize: 40,
  valueSize: 24,
  maxEntries: 2048,
  flags: 0,
  key: fragmentKeyCodec,
  value: fragmentPortsCodec,
  keyLayout: `struct fragment_key, 40 bytes
   0   16 source: struct address
   0   16   words: __be32[4]
  16   16 destination: struct address
  16   16   words: __be32[4]
  32    4 id: __be32
  36    1 protocol: __u8
  37    3 reserved: __u8[3]`,
  valueLayout: `struct fragment_ports, 24 bytes
   0    8 known_ns: __u64
   8    4 flags: __u32
  12    2 source: __be16
  14    2 destination: __be16
  16    1 protocol: __u8
  17    7 reserved: __u8[7]`,
};

export const frameCountersMap: MapDescriptor<number, Counter> = {
  name: 'frame_counters',
  type: 6,
  keySize: 4,
  valueSize: 16,
  maxEntries: 2,
  flags: 0,
  key: u32Codec,
  value: counterCodec,
  keyLayout: '__u32, 4 bytes',
  valueLayout: `struct counter, 16 bytes
   0    8 packets: __u64
   8    8 bytes: __u64`,
};

export const frameDevicesMap: MapDescriptor<number, number> = {
  name: 'frame_devices',
  type: 1,
  keySize: 4,
  valueSize: 4,
  maxEntries: 64,
  flags: 1,
  key: u32Codec,
  value: u32Codec,
  keyLayout: '__u32, 4 bytes',
  valueLayout: '__u32, 4 bytes',
};

export const frontendsMap: MapDescriptor<FrontendKey, Frontend> = {
  name: 'frontends',
  type: 1,
  keySize: 20,
  valueSize: 32,
  maxEntries: 65536,
  flags: 1,
  key: frontendKeyCodec,
  value: frontendCodec,
  keyLayout: `struct frontend_key, 20 bytes
   0   16 address: struct address
   0   16   words: __be32[4]
  16    2 port: __be16
  18    1 protocol: __u8
  19    1 scope: __u8`,
  valueLayout: `struct frontend, 32 bytes
   0    4 service_id: __u32
   4    4 generation: __u32
   8    4 backend_count: __u32
  12    4 affinity_seconds: __u32
  16    4 flags: __u32
  20    4 affinity_id: __u32
  24    4 maglev_size: __u32
  28    4 reserved: __u32`,
};

export const heldCountMap: MapDescriptor<number, number> = {
  name: 'held_count',
  type: 2,
  keySize: 4,
  valueSize: 4,
  maxEntries: 1,
  flags: 0,
  key: u32Codec,
  value: u32Codec,
  keyLayout: '__u32, 4 bytes',
  valueLayout: '__u32, 4 bytes',
};

export const heldFragmentsMap: MapDescriptor<number, HeldFragment> = {
  name: 'held_fragments',
  type: 2,
  keySize: 4,
  valueSize: 9264,
  maxEntries: 64,
  flags: 0,
  key: u32Codec,
  value: heldFragmentCodec,
  keyLayout: '__u32, 4 bytes',
  valueLayout: `struct held_fragment, 9264 bytes
   0   40 key: struct fragment_key
   0   16   source: struct address
   0   16     words: __be32[4]
  16   16   destination: struct address
  16   16     words: __be32[4]
  32    4   id: __be32
  36    1   protocol: __u8
  37    3   reserved: __u8[3]
  40    4 length: __u32
  44    1 is_copy: __u8
  45    1 direction: __u8
  46    2 reserved: __u8[2]
  48 9216 bytes: __u8[9216]`,
};

export const ipcacheMap: MapDescriptor<Address | undefined, IpcacheEntry> = {
  name: 'ipcache',
  type: 1,
  keySize: 16,
  valueSize: 32,
  maxEntries: 65536,
  flags: 1,
  key: addressCodec,
  value: ipcacheEntryCodec,
  keyLayout: `struct address, 16 bytes
   0   16 words: __be32[4]`,
  valueLayout: `struct ipcache_entry, 32 bytes
   0   16 tunnel_endpoint: struct address
   0   16   words: __be32[4]
  16    4 identity: __u32
  20    4 flags: __u32
  24    4 mtu: __u32
  28    4 reserved: __u32`,
};

export const ipcachePrefixMap: MapDescriptor<IpcachePrefixKey, IpcacheEntry> = {
  name: 'ipcache_prefix',
  type: 11,
  keySize: 20,
  valueSize: 32,
  maxEntries: 65536,
  flags: 1,
  key: ipcachePrefixKeyCodec,
  value: ipcacheEntryCodec,
  keyLayout: `struct ipcache_prefix_key, 20 bytes
   0    4 prefix_length: __u32
   4   16 address: struct address
   4   16   words: __be32[4]`,
  valueLayout: `struct ipcache_entry, 32 bytes
   0   16 tunnel_endpoint: struct address
   0   16   words: __be32[4]
  16    4 identity: __u32
  20    4 flags: __u32
  24    4 mtu: __u32
  28    4 reserved: __u32`,
};

export const kernelDevicesMap: MapDescriptor<number, number> = {
  name: 'kernel_devices',
  type: 1,
  keySize: 4,
  valueSize: 4,
  maxEntries: 4096,
  flags: 1,
  key: u32Codec,
  value: u32Codec,
  keyLayout: '__u32, 4 bytes',
  valueLayout: '__u32, 4 bytes',
};

export const kernelDropsMap: MapDescriptor<KernelDropKey, Counter> = {
  name: 'kernel_drops',
  type: 5,
  keySize: 16,
  valueSize: 16,
  maxEntries: 512,
  flags: 1,
  key: kernelDropKeyCodec,
  value: counterCodec,
  keyLayout: `struct kernel_drop_key, 16 bytes
   0    4 reason: __u32
   4    4 reserved: __u32
   8    8 location: __u64`,
  valueLayout: `struct counter, 16 bytes
   0    8 packets: __u64
   8    8 bytes: __u64`,
};

export const kernelPlacesMap: MapDescriptor<bigint, KernelFunction> = {
  name: 'kernel_places',
  type: 1,
  keySize: 8,
  valueSize: 48,
  maxEntries: 512,
  flags: 1,
  key: u64Codec,
  value: kernelFunctionCodec,
  keyLayout: '__u64, 8 bytes',
  valueLayout: `struct kernel_function, 48 bytes
   0   40 name: __u8[40]
  40    1 is_transport: __u8
  41    7 reserved: __u8[7]`,
};

export const kernelSettingsMap: MapDescriptor<number, KernelDropSettings> = {
  name: 'kernel_settings',
  type: 2,
  keySize: 4,
  valueSize: 72,
  maxEntries: 1,
  flags: 0,
  key: u32Codec,
  value: kernelDropSettingsCodec,
  keyLayout: '__u32, 4 bytes',
  valueLayout: `struct kernel_drop_settings, 72 bytes
   0    8 netns_cookie: __u64
   8   32 ignored_reasons: __u64[4]
  40    4 unspecified_reason: __u32
  44    4 tc_ingress_reason: __u32
  48    4 tc_egress_reason: __u32
  52   20 reserved: __u32[5]`,
};

export const maglevMap: MapDescriptor<MaglevKey, MaglevChunk> = {
  name: 'maglev',
  type: 1,
  keySize: 12,
  valueSize: 4004,
  maxEntries: 16384,
  flags: 1,
  key: maglevKeyCodec,
  value: maglevChunkCodec,
  keyLayout: `struct maglev_key, 12 bytes
   0    4 service_id: __u32
   4    4 generation: __u32
   8    4 chunk: __u32`,
  valueLayout: `struct maglev_chunk, 4004 bytes
   0    4 checksum: __u32
   4 4000 slots: __u16[2000]`,
};

export const netnsEndpointsMap: MapDescriptor<bigint, NetnsEndpoint> = {
  name: 'netns_endpoints',
  type: 1,
  keySize: 8,
  valueSize: 40,
  maxEntries: 8192,
  flags: 1,
  key: u64Codec,
  value: netnsEndpointCodec,
  keyLayout: '__u64, 8 bytes',
  valueLayout: `struct netns_endpoint, 40 bytes
   0    4 endpoint_id: __u32
   4    4 identity: __u32
   8   16 ipv4: struct address
   8   16   words: __be32[4]
  24   16 ipv6: struct address
  24   16   words: __be32[4]`,
};

export const nextHopsCheckedMap: MapDescriptor<number, bigint> = {
  name: 'next_hops_checked',
  type: 6,
  keySize: 4,
  valueSize: 8,
  maxEntries: 64,
  flags: 0,
  key: u32Codec,
  value: u64Codec,
  keyLayout: '__u32, 4 bytes',
  valueLayout: '__u64, 8 bytes',
};

export const packetsMap: MapDescriptor<number, Packet> = {
  name: 'packets',
  type: 6,
  keySize: 4,
  valueSize: 248,
  maxEntries: 1,
  flags: 0,
  key: u32Codec,
  value: packetCodec,
  keyLayout: '__u32, 4 bytes',
  valueLayout: `struct packet, 248 bytes
   0   40 tuple: struct tuple
   0   16   source: struct address
   0   16     words: __be32[4]
  16   16   destination: struct address
  16   16     words: __be32[4]
  32    2   source_port: __be16
  34    2   destination_port: __be16
  36    1   protocol: __u8
  37    3   reserved: __u8[3]
  40   40 arrived: struct tuple
  40   16   source: struct address
  40   16     words: __be32[4]
  56   16   destination: struct address
  56   16     words: __be32[4]
  72    2   source_port: __be16
  74    2   destination_port: __be16
  76    1   protocol: __u8
  77    3   reserved: __u8[3]
  80   20 frontend: struct tuple_end
  80   16   address: struct address
  80   16     words: __be32[4]
  96    2   port: __be16
  98    2   reserved: __u8[2]
 100   16 tunnel_sender: struct address
 100   16   words: __be32[4]
 116   20 reply_source: struct tuple_end
 116   16   address: struct address
 116   16     words: __be32[4]
 132    2   port: __be16
 134    2   reserved: __u8[2]
 136   20 given_source: struct tuple_end
 136   16   address: struct address
 136   16     words: __be32[4]
 152    2   port: __be16
 154    2   reserved: __u8[2]
 156    4 source_identity: __u32
 160    4 destination_identity: __u32
 164    4 endpoint_id: __u32
 168    4 line: __u32
 172    4 transport_offset: __u32
 176    4 end_offset: __u32
 180    4 wire_length: __u32
 184    4 mtu: __u32
 188    4 fragment_id: __be32
 192    4 backend_id: __u32
 196    4 generation: __u32
 200    6 destination_mac: struct mac
 200    6   bytes: __u8[6]
 206    6 source_mac: struct mac
 206    6   bytes: __u8[6]
 212    2 ethertype: __be16
 214    1 direction: __u8
 215    1 trace_point: __u8
 216    1 fragment: __u8
 217    1 hop_limit: __u8
 218    1 tcp_flags: __u8
 219    1 icmp_type: __u8
 220    1 icmp_code: __u8
 221    1 is_icmp_error: __u8
 222    1 dont_fragment: __u8
 223    1 is_unroutable: __u8
 224    1 ct_status: __u8
 225    1 lacks_ports: __u8
 226    1 has_waiting: __u8
 227    1 is_external: __u8
 228    1 wants_dsr: __u8
 229    1 is_one_way: __u8
 230    1 may_tell: __u8
 231    1 tells: __u8
 232    1 has_dsr_option: __u8
 233    1 is_told: __u8
 234    2 given_port: __be16
 236    2 client_port: __be16
 238    2 reply_port: __be16
 240    2 former_port: __be16
 242    6 reserved: __u8[6]`,
};

export const restsMap: MapDescriptor<number, Rests> = {
  name: 'rests',
  type: 2,
  keySize: 4,
  valueSize: 131072,
  maxEntries: 1,
  flags: 0,
  key: u32Codec,
  value: restsCodec,
  keyLayout: '__u32, 4 bytes',
  valueLayout: `struct rests, 131072 bytes
   0 65536 ended: __u8[65536]
65536 65536 clients: __u8[65536]`,
};

export const shortagesMap: MapDescriptor<Tuple, Shortage> = {
  name: 'shortages',
  type: 9,
  keySize: 40,
  valueSize: 24,
  maxEntries: 256,
  flags: 0,
  key: tupleCodec,
  value: shortageCodec,
  keyLayout: `struct tuple, 40 bytes
   0   16 source: struct address
   0   16   words: __be32[4]
  16   16 destination: struct address
  16   16   words: __be32[4]
  32    2 source_port: __be16
  34    2 destination_port: __be16
  36    1 protocol: __u8
  37    3 reserved: __u8[3]`,
  valueLayout: `struct shortage, 24 bytes
   0    8 exhausted_until_ns: __u64
   8    4 looks: __u32
  12    4 looks_before: __u32
  16    4 easy: __u32
  20    4 reserved: __u32`,
};

export const shotPacketsMap: MapDescriptor<number, bigint> = {
  name: 'shot_packets',
  type: 6,
  keySize: 4,
  valueSize: 8,
  maxEntries: 1,
  flags: 0,
  key: u32Codec,
  value: u64Codec,
  keyLayout: '__u32, 4 bytes',
  valueLayout: '__u64, 8 bytes',
};

export const slotsMap: MapDescriptor<SlotKey, Slot> = {
  name: 'slots',
  type: 1,
  keySize: 12,
  valueSize: 4,
  maxEntries: 524288,
  flags: 1,
  key: slotKeyCodec,
  value: slotCodec,
  keyLayout: `struct slot_key, 12 bytes
   0    4 service_id: __u32
   4    4 generation: __u32
   8    4 slot: __u32`,
  valueLayout: `struct slot, 4 bytes
   0    4 backend_id: __u32`,
};

export const sourceRangesMap: MapDescriptor<SourceRangeKey, number> = {
  name: 'source_ranges',
  type: 11,
  keySize: 28,
  valueSize: 4,
  maxEntries: 65536,
  flags: 1,
  key: sourceRangeKeyCodec,
  value: u32Codec,
  keyLayout: `struct source_range_key, 28 bytes
   0    4 prefix_length: __u32
   4    4 service_id: __u32
   8    4 generation: __u32
  12   16 address: struct address
  12   16   words: __be32[4]`,
  valueLayout: '__u32, 4 bytes',
};

export const staleSocketsMap: MapDescriptor<bigint, Peer> = {
  name: 'stale_sockets',
  type: 1,
  keySize: 8,
  valueSize: 20,
  maxEntries: 1024,
  flags: 1,
  key: u64Codec,
  value: peerCodec,
  keyLayout: '__u64, 8 bytes',
  valueLayout: `struct peer, 20 bytes
   0   16 address: struct address
   0   16   words: __be32[4]
  16    2 port: __be16
  18    2 reserved: __u8[2]`,
};

export const takeoversMap: MapDescriptor<number, Takeover> = {
  name: 'takeovers',
  type: 2,
  keySize: 4,
  valueSize: 16,
  maxEntries: 1,
  flags: 0,
  key: u32Codec,
  value: takeoverCodec,
  keyLayout: '__u32, 4 bytes',
  valueLayout: `struct takeover, 16 bytes
   0    8 strict_ns: __u64
   8    8 until_ns: __u64`,
};

export const translationsMap: MapDescriptor<number, SocketTranslations> = {
  name: 'translations',
  type: 24,
  keySize: 4,
  valueSize: 392,
  maxEntries: 0,
  flags: 1,
  key: i32Codec,
  value: socketTranslationsCodec,
  keyLayout: 'int, 4 bytes',
  valueLayout: `struct socket_translations, 392 bytes
   0    4 lock: struct bpf_spin_lock
   0    4   val: __u32
   4    4 uses: __u32
   8  384 entries: struct translation[8]
   8   16   frontend: struct address
   8   16     words: __be32[4]
  24   16   backend: struct address
  24   16     words: __be32[4]
  40    2   frontend_port: __be16
  42    2   backend_port: __be16
  44    4   backend_id: __u32
  48    4   generation: __u32
  52    4   last_use: __u32`,
};

/** All of them, by the name in C. */
export const mapDescriptors = {
  affinities: affinitiesMap,
  backends: backendsMap,
  connected_sockets: connectedSocketsMap,
  connected_translations: connectedTranslationsMap,
  connection_drafts: connectionDraftsMap,
  conntrack: conntrackMap,
  conntrack_new: conntrackNewMap,
  counters: countersMap,
  devices: devicesMap,
  endpoints: endpointsMap,
  event_budgets: eventBudgetsMap,
  event_losses: eventLossesMap,
  events: eventsMap,
  explanations: explanationsMap,
  fragments: fragmentsMap,
  frame_counters: frameCountersMap,
  frame_devices: frameDevicesMap,
  frontends: frontendsMap,
  held_count: heldCountMap,
  held_fragments: heldFragmentsMap,
  ipcache: ipcacheMap,
  ipcache_prefix: ipcachePrefixMap,
  kernel_devices: kernelDevicesMap,
  kernel_drops: kernelDropsMap,
  kernel_places: kernelPlacesMap,
  kernel_settings: kernelSettingsMap,
  maglev: maglevMap,
  netns_endpoints: netnsEndpointsMap,
  next_hops_checked: nextHopsCheckedMap,
  packets: packetsMap,
  rests: restsMap,
  shortages: shortagesMap,
  shot_packets: shotPacketsMap,
  slots: slotsMap,
  source_ranges: sourceRangesMap,
  stale_sockets: staleSocketsMap,
  takeovers: takeoversMap,
  translations: translationsMap,
} as const;
