// Generated from bpf/ by "npm run generate": do not edit.

/** enum backend_state */
export const BackendState = {
  Active: 0,
  Terminating: 1,
  Quarantined: 2,
  Maintenance: 3,
} as const;
export type BackendState = (typeof BackendState)[keyof typeof BackendState];

export const backendStateNames: Readonly<Record<BackendState, string>> = {
  0: 'active',
  1: 'terminating',
  2: 'quarantined',
  3: 'maintenance',
};

/** enum ct_flag */
export const CtFlag = {
  OneWay: 1,
  Told: 2,
} as const;
export type CtFlag = (typeof CtFlag)[keyof typeof CtFlag];

export const ctFlagNames: Readonly<Record<CtFlag, string>> = {
  1: 'one_way',
  2: 'told',
};

/** enum ct_kind */
export const CtKind = {
  Connection: 0,
  DnatAlias: 1,
  SnatAlias: 2,
} as const;
export type CtKind = (typeof CtKind)[keyof typeof CtKind];

export const ctKindNames: Readonly<Record<CtKind, string>> = {
  0: 'connection',
  1: 'dnat_alias',
  2: 'snat_alias',
};

/** enum ct_state */
export const CtState = {
  New: 0,
  Established: 1,
  Closing: 2,
  Closed: 3,
} as const;
export type CtState = (typeof CtState)[keyof typeof CtState];

export const ctStateNames: Readonly<Record<CtState, string>> = {
  0: 'new',
  1: 'established',
  2: 'closing',
  3: 'closed',
};

/** enum ct_status */
export const CtStatus = {
  New: 0,
  Established: 1,
  Reply: 2,
  Related: 3,
  Unknown: 4,
} as const;
export type CtStatus = (typeof CtStatus)[keyof typeof CtStatus];

export const ctStatusNames: Readonly<Record<CtStatus, string>> = {
  0: 'new',
  1: 'established',
  2: 'reply',
  3: 'related',
  4: 'unknown',
};

/** enum direction */
export const Direction = {
  Ingress: 0,
  Egress: 1,
} as const;
export type Direction = (typeof Direction)[keyof typeof Direction];

export const directionNames: Readonly<Record<Direction, string>> = {
  0: 'ingress',
  1: 'egress',
};

/** enum drop_reason */
export const DropReason = {
  Forwarded: 0,
  InvalidPacket: 1,
  UnknownEthertype: 2,
  UnknownProtocol: 3,
  InvalidSourceAddress: 4,
  InvalidSourceMac: 5,
  MappedAddress: 6,
  InvalidTcpFlags: 7,
  StaleOrUnroutable: 8,
  NoTunnelKey: 9,
  EncapFailed: 10,
  InvalidIdentity: 11,
  TtlExceeded: 12,
  CtCreateFailed: 13,
  NoBackend: 14,
  ServiceNotTranslated: 15,
  WriteFailed: 16,
  FragmentUnsupported: 17,
  InvalidNeighbourRequest: 18,
  TooBig: 19,
  InvalidTunnelSender: 20,
  NatExhausted: 21,
  NatConflict: 22,
  NatUnsupported: 23,
  NoRoute: 24,
  NotTracked: 25,
  NoMasqueradeAddress: 26,
  NoLocalBackend: 27,
  ClientNotAllowed: 28,
  ForgedDsrOption: 29,
  PortOfService: 30,
  LoopbackAddress: 31,
  TablesTakenOver: 32,
} as const;
export type DropReason = (typeof DropReason)[keyof typeof DropReason];

export const dropReasonNames: Readonly<Record<DropReason, string>> = {
  0: 'forwarded',
  1: 'invalid_packet',
  2: 'unknown_ethertype',
  3: 'unknown_protocol',
  4: 'invalid_source_address',
  5: 'invalid_source_mac',
  6: 'mapped_address',
  7: 'invalid_tcp_flags',
  8: 'stale_or_unroutable',
  9: 'no_tunnel_key',
  10: 'encap_failed',
  11: 'invalid_identity',
  12: 'ttl_exceeded',
  13: 'ct_create_failed',
  14: 'no_backend',
  15: 'service_not_translated',
  16: 'write_failed',
  17: 'fragment_unsupported',
  18: 'invalid_neighbour_request',
  19: 'too_big',
  20: 'invalid_tunnel_sender',
  21: 'nat_exhausted',
  22: 'nat_conflict',
  23: 'nat_unsupported',
  24: 'no_route',
  25: 'not_tracked',
  26: 'no_masquerade_address',
  27: 'no_local_backend',
  28: 'client_not_allowed',
  29: 'forged_dsr_option',
  30: 'port_of_service',
  31: 'loopback_address',
  32: 'tables_taken_over',
};

/** enum endpoint_flag */
export const EndpointFlag = {
  Host: 1,
  NoNodePorts: 2,
} as const;
export type EndpointFlag = (typeof EndpointFlag)[keyof typeof EndpointFlag];

export const endpointFlagNames: Readonly<Record<EndpointFlag, string>> = {
  1: 'host',
  2: 'no_node_ports',
};

/** enum event_type */
export const EventType = {
  Drop: 1,
  Trace: 2,
  KernelDrop: 3,
} as const;
export type EventType = (typeof EventType)[keyof typeof EventType];

export const eventTypeNames: Readonly<Record<EventType, string>> = {
  1: 'drop',
  2: 'trace',
  3: 'kernel_drop',
};

/** enum fragment_flag */
export const FragmentFlag = {
  Known: 1,
  Waiting: 2,
} as const;
export type FragmentFlag = (typeof FragmentFlag)[keyof typeof FragmentFlag];

export const fragmentFlagNames: Readonly<Record<FragmentFlag, string>> = {
  1: 'known',
  2: 'waiting',
};

/** enum frame_device_flag */
export const FrameDeviceFlag = {
  Returns: 1,
  Takes: 2,
  Generic: 4,
  Fragments: 8,
  UnderlayIpv4: 16,
  UnderlayIpv6: 32,
} as const;
export type FrameDeviceFlag = (typeof FrameDeviceFlag)[keyof typeof FrameDeviceFlag];

export const frameDeviceFlagNames: Readonly<Record<FrameDeviceFlag, string>> = {
  1: 'returns',
  2: 'takes',
  4: 'generic',
  8: 'fragments',
  16: 'underlay_ipv4',
  32: 'underlay_ipv6',
};

/** enum frame_way */
export const FrameWay = {
  Tunnel: 0,
  World: 1,
} as const;
export type FrameWay = (typeof FrameWay)[keyof typeof FrameWay];

export const frameWayNames: Readonly<Record<FrameWay, string>> = {
  0: 'tunnel',
  1: 'world',
};

/** enum frontend_flag */
export const FrontendFlag = {
  Affinity: 1,
  External: 2,
  Elsewhere: 4,
  Loopback: 8,
  SourceRanges: 16,
  NodeAllowed: 64,
  Dsr: 128,
  Shared: 256,
} as const;
export type FrontendFlag = (typeof FrontendFlag)[keyof typeof FrontendFlag];

export const frontendFlagNames: Readonly<Record<FrontendFlag, string>> = {
  1: 'affinity',
  2: 'external',
  4: 'elsewhere',
  8: 'loopback',
  16: 'source_ranges',
  64: 'node_allowed',
  128: 'dsr',
  256: 'shared',
};

/** enum frontend_scope */
export const FrontendScope = {
  Internal: 0,
  External: 1,
} as const;
export type FrontendScope = (typeof FrontendScope)[keyof typeof FrontendScope];

export const frontendScopeNames: Readonly<Record<FrontendScope, string>> = {
  0: 'internal',
  1: 'external',
};

/** enum ipcache_flag */
export const IpcacheFlag = {
  Unroutable: 1,
  Node: 2,
} as const;
export type IpcacheFlag = (typeof IpcacheFlag)[keyof typeof IpcacheFlag];

export const ipcacheFlagNames: Readonly<Record<IpcacheFlag, string>> = {
  1: 'unroutable',
  2: 'node',
};

/** enum kernel_device_flag */
export const KernelDeviceFlag = {
  Shared: 1,
} as const;
export type KernelDeviceFlag = (typeof KernelDeviceFlag)[keyof typeof KernelDeviceFlag];

export const kernelDeviceFlagNames: Readonly<Record<KernelDeviceFlag, string>> = {
  1: 'shared',
};

/** enum service_answer */
export const ServiceAnswer = {
  None: 0,
  Backend: 1,
  NoBackend: 2,
  NotAllowed: 3,
  NoLocalBackend: 4,
} as const;
export type ServiceAnswer = (typeof ServiceAnswer)[keyof typeof ServiceAnswer];

export const serviceAnswerNames: Readonly<Record<ServiceAnswer, string>> = {
  0: 'none',
  1: 'backend',
  2: 'no_backend',
  3: 'not_allowed',
  4: 'no_local_backend',
};

/** enum snat_port */
export const SnatPort = {
  First: 1024,
  Last: 65535,
} as const;
export type SnatPort = (typeof SnatPort)[keyof typeof SnatPort];

export const snatPortNames: Readonly<Record<SnatPort, string>> = {
  1024: 'first',
  65535: 'last',
};

/** enum socket_result */
export const SocketResult = {
  Unchanged: 0,
  Translated: 1,
  NoBackend: 2,
  NotAllowed: 3,
} as const;
export type SocketResult = (typeof SocketResult)[keyof typeof SocketResult];

export const socketResultNames: Readonly<Record<SocketResult, string>> = {
  0: 'unchanged',
  1: 'translated',
  2: 'no_backend',
  3: 'not_allowed',
};

/** enum trace_point */
export const TracePoint = {
  FromPod: 0,
  ToPod: 1,
  FromOverlay: 2,
  ToOverlay: 3,
  FromHost: 4,
  ToHost: 5,
  Socket: 6,
  FromNetwork: 7,
  ToNetwork: 8,
} as const;
export type TracePoint = (typeof TracePoint)[keyof typeof TracePoint];

export const tracePointNames: Readonly<Record<TracePoint, string>> = {
  0: 'from_pod',
  1: 'to_pod',
  2: 'from_overlay',
  3: 'to_overlay',
  4: 'from_host',
  5: 'to_host',
  6: 'socket',
  7: 'from_network',
  8: 'to_network',
};

/** enum way */
export const Way = {
  None: 0,
  Pod: 1,
  Host: 2,
  Tunnel: 3,
  Device: 4,
} as const;
export type Way = (typeof Way)[keyof typeof Way];

export const wayNames: Readonly<Record<Way, string>> = {
  0: 'none',
  1: 'pod',
  2: 'host',
  3: 'tunnel',
  4: 'device',
};
