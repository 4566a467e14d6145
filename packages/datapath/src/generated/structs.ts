// Generated from bpf/ by "npm run generate": do not edit.
import { type Codec, arrayCodec, bytesCodec, u64Codec, u8Codec, wordsCodec, zeroBytes } from '@sluice/bpf';
import { type Address, type Mac, addressCodec, macCodec } from '@sluice/net';

/** struct tuple */
export interface Tuple {
  readonly source: Address | undefined;
  readonly destination: Address | undefined;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly protocol: number;
}

export const tupleCodec: Codec<Tuple> = {
  size: 40,
  encode(value, view, offset) {
    addressCodec.encode(value.source, view, offset);
    addressCodec.encode(value.destination, view, offset + 16);
    view.setUint16(offset + 32, value.sourcePort);
    view.setUint16(offset + 34, value.destinationPort);
    view.setUint8(offset + 36, value.protocol);
    zeroBytes(view, offset + 37, 3);
  },
  decode(view, offset) {
    return {
      source: addressCodec.decode(view, offset),
      destination: addressCodec.decode(view, offset + 16),
      sourcePort: view.getUint16(offset + 32),
      destinationPort: view.getUint16(offset + 34),
      protocol: view.getUint8(offset + 36),
    };
  },
};

/** struct tuple_end */
export interface TupleEnd {
  readonly address: Address | undefined;
  readonly port: number;
}

export const tupleEndCodec: Codec<TupleEnd> = {
  size: 20,
  encode(value, view, offset) {
    addressCodec.encode(value.address, view, offset);
    view.setUint16(offset + 16, value.port);
    zeroBytes(view, offset + 18, 2);
  },
  decode(view, offset) {
    return {
      address: addressCodec.decode(view, offset),
      port: view.getUint16(offset + 16),
    };
  },
};

/** struct connection */
export interface Connection {
  readonly expiresNs: bigint;
  readonly createdNs: bigint;
  readonly packets: readonly bigint[];
  readonly bytes: readonly bigint[];
  readonly sourceIdentity: number;
  readonly destinationIdentity: number;
  readonly backendId: number;
  readonly generation: number;
  readonly dnat: TupleEnd;
  readonly snat: TupleEnd;
  readonly state: number;
  readonly kind: number;
  readonly tcpFlags: readonly number[];
  readonly flags: number;
  readonly told: number;
  readonly clientPort: number;
  readonly formerPort: number;
}

const connectionPacketsCodec = arrayCodec(u64Codec, 2);
const connectionBytesCodec = arrayCodec(u64Codec, 2);
const connectionTcpFlagsCodec = arrayCodec(u8Codec, 2);

export const connectionCodec: Codec<Connection> = {
  size: 120,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.expiresNs, true);
    view.setBigUint64(offset + 8, value.createdNs, true);
    connectionPacketsCodec.encode(value.packets, view, offset + 16);
    connectionBytesCodec.encode(value.bytes, view, offset + 32);
    view.setUint32(offset + 48, value.sourceIdentity, true);
    view.setUint32(offset + 52, value.destinationIdentity, true);
    view.setUint32(offset + 56, value.backendId, true);
    view.setUint32(offset + 60, value.generation, true);
    tupleEndCodec.encode(value.dnat, view, offset + 64);
    tupleEndCodec.encode(value.snat, view, offset + 84);
    view.setUint8(offset + 104, value.state);
    view.setUint8(offset + 105, value.kind);
    connectionTcpFlagsCodec.encode(value.tcpFlags, view, offset + 106);
    view.setUint32(offset + 108, value.flags, true);
    view.setUint32(offset + 112, value.told, true);
    view.setUint16(offset + 116, value.clientPort);
    view.setUint16(offset + 118, value.formerPort);
  },
  decode(view, offset) {
    return {
      expiresNs: view.getBigUint64(offset, true),
      createdNs: view.getBigUint64(offset + 8, true),
      packets: connectionPacketsCodec.decode(view, offset + 16),
      bytes: connectionBytesCodec.decode(view, offset + 32),
      sourceIdentity: view.getUint32(offset + 48, true),
      destinationIdentity: view.getUint32(offset + 52, true),
      backendId: view.getUint32(offset + 56, true),
      generation: view.getUint32(offset + 60, true),
      dnat: tupleEndCodec.decode(view, offset + 64),
      snat: tupleEndCodec.decode(view, offset + 84),
      state: view.getUint8(offset + 104),
      kind: view.getUint8(offset + 105),
      tcpFlags: connectionTcpFlagsCodec.decode(view, offset + 106),
      flags: view.getUint32(offset + 108, true),
      told: view.getUint32(offset + 112, true),
      clientPort: view.getUint16(offset + 116),
      formerPort: view.getUint16(offset + 118),
    };
  },
};

/** struct rests */
export interface Rests {
  readonly ended: Uint8Array;
  readonly clients: Uint8Array;
}

const restsEndedCodec = bytesCodec(65536);
const restsClientsCodec = bytesCodec(65536);

export const restsCodec: Codec<Rests> = {
  size: 131072,
  encode(value, view, offset) {
    restsEndedCodec.encode(value.ended, view, offset);
    restsClientsCodec.encode(value.clients, view, offset + 65536);
  },
  decode(view, offset) {
    return {
      ended: restsEndedCodec.decode(view, offset),
      clients: restsClientsCodec.decode(view, offset + 65536),
    };
  },
};

/** struct shortage */
export interface Shortage {
  readonly exhaustedUntilNs: bigint;
  readonly looks: number;
  readonly looksBefore: number;
  readonly easy: number;
}

export const shortageCodec: Codec<Shortage> = {
  size: 24,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.exhaustedUntilNs, true);
    view.setUint32(offset + 8, value.looks, true);
    view.setUint32(offset + 12, value.looksBefore, true);
    view.setUint32(offset + 16, value.easy, true);
    zeroBytes(view, offset + 20, 4);
  },
  decode(view, offset) {
    return {
      exhaustedUntilNs: view.getBigUint64(offset, true),
      looks: view.getUint32(offset + 8, true),
      looksBefore: view.getUint32(offset + 12, true),
      easy: view.getUint32(offset + 16, true),
    };
  },
};

/** struct event_budget */
export interface EventBudget {
  readonly spentUntilNs: bigint;
  readonly withheld: bigint;
}

export const eventBudgetCodec: Codec<EventBudget> = {
  size: 16,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.spentUntilNs, true);
    view.setBigUint64(offset + 8, value.withheld, true);
  },
  decode(view, offset) {
    return {
      spentUntilNs: view.getBigUint64(offset, true),
      withheld: view.getBigUint64(offset + 8, true),
    };
  },
};

/** struct packet */
export interface Packet {
  readonly tuple: Tuple;
  readonly arrived: Tuple;
  readonly frontend: TupleEnd;
  readonly tunnelSender: Address | undefined;
  readonly replySource: TupleEnd;
  readonly givenSource: TupleEnd;
  readonly sourceIdentity: number;
  readonly destinationIdentity: number;
  readonly endpointId: number;
  readonly line: number;
  readonly transportOffset: number;
  readonly endOffset: number;
  readonly wireLength: number;
  readonly mtu: number;
  readonly fragmentId: number;
  readonly backendId: number;
  readonly generation: number;
  readonly destinationMac: Mac;
  readonly sourceMac: Mac;
  readonly ethertype: number;
  readonly direction: number;
  readonly tracePoint: number;
  readonly fragment: number;
  readonly hopLimit: number;
  readonly tcpFlags: number;
  readonly icmpType: number;
  readonly icmpCode: number;
  readonly isIcmpError: number;
  readonly dontFragment: number;
  readonly isUnroutable: number;
  readonly ctStatus: number;
  readonly lacksPorts: number;
  readonly hasWaiting: number;
  readonly isExternal: number;
  readonly wantsDsr: number;
  readonly isOneWay: number;
  readonly mayTell: number;
  readonly tells: number;
  readonly hasDsrOption: number;
  readonly isTold: number;
  readonly givenPort: number;
  readonly clientPort: number;
  readonly replyPort: number;
  readonly formerPort: number;
}

export const packetCodec: Codec<Packet> = {
  size: 248,
  encode(value, view, offset) {
    tupleCodec.encode(value.tuple, view, offset);
    tupleCodec.encode(value.arrived, view, offset + 40);
    tupleEndCodec.encode(value.frontend, view, offset + 80);
    addressCodec.encode(value.tunnelSender, view, offset + 100);
    tupleEndCodec.encode(value.replySource, view, offset + 116);
    tupleEndCodec.encode(value.givenSource, view, offset + 136);
    view.setUint32(offset + 156, value.sourceIdentity, true);
    view.setUint32(offset + 160, value.destinationIdentity, true);
    view.setUint32(offset + 164, value.endpointId, true);
    view.setUint32(offset + 168, value.line, true);
    view.setUint32(offset + 172, value.transportOffset, true);
    view.setUint32(offset + 176, value.endOffset, true);
    view.setUint32(offset + 180, value.wireLength, true);
    view.setUint32(offset + 184, value.mtu, true);
    view.setUint32(offset + 188, value.fragmentId);
    view.setUint32(offset + 192, value.backendId, true);
    view.setUint32(offset + 196, value.generation, true);
    macCodec.encode(value.destinationMac, view, offset + 200);
    macCodec.encode(value.sourceMac, view, offset + 206);
    view.setUint16(offset + 212, value.ethertype);
    view.setUint8(offset + 214, value.direction);
    view.setUint8(offset + 215, value.tracePoint);
    view.setUint8(offset + 216, value.fragment);
    view.setUint8(offset + 217, value.hopLimit);
    view.setUint8(offset + 218, value.tcpFlags);
    view.setUint8(offset + 219, value.icmpType);
    view.setUint8(offset + 220, value.icmpCode);
    view.setUint8(offset + 221, value.isIcmpError);
    view.setUint8(offset + 222, value.dontFragment);
    view.setUint8(offset + 223, value.isUnroutable);
    view.setUint8(offset + 224, value.ctStatus);
    view.setUint8(offset + 225, value.lacksPorts);
    view.setUint8(offset + 226, value.hasWaiting);
    view.setUint8(offset + 227, value.isExternal);
    view.setUint8(offset + 228, value.wantsDsr);
    view.setUint8(offset + 229, value.isOneWay);
    view.setUint8(offset + 230, value.mayTell);
    view.setUint8(offset + 231, value.tells);
    view.setUint8(offset + 232, value.hasDsrOption);
    view.setUint8(offset + 233, value.isTold);
    view.setUint16(offset + 234, value.givenPort);
    view.setUint16(offset + 236, value.clientPort);
    view.setUint16(offset + 238, value.replyPort);
    view.setUint16(offset + 240, value.formerPort);
    zeroBytes(view, offset + 242, 6);
  },
  decode(view, offset) {
    return {
      tuple: tupleCodec.decode(view, offset),
      arrived: tupleCodec.decode(view, offset + 40),
      frontend: tupleEndCodec.decode(view, offset + 80),
      tunnelSender: addressCodec.decode(view, offset + 100),
      replySource: tupleEndCodec.decode(view, offset + 116),
      givenSource: tupleEndCodec.decode(view, offset + 136),
      sourceIdentity: view.getUint32(offset + 156, true),
      destinationIdentity: view.getUint32(offset + 160, true),
      endpointId: view.getUint32(offset + 164, true),
      line: view.getUint32(offset + 168, true),
      transportOffset: view.getUint32(offset + 172, true),
      endOffset: view.getUint32(offset + 176, true),
      wireLength: view.getUint32(offset + 180, true),
      mtu: view.getUint32(offset + 184, true),
      fragmentId: view.getUint32(offset + 188),
      backendId: view.getUint32(offset + 192, true),
      generation: view.getUint32(offset + 196, true),
      destinationMac: macCodec.decode(view, offset + 200),
      sourceMac: macCodec.decode(view, offset + 206),
      ethertype: view.getUint16(offset + 212),
      direction: view.getUint8(offset + 214),
      tracePoint: view.getUint8(offset + 215),
      fragment: view.getUint8(offset + 216),
      hopLimit: view.getUint8(offset + 217),
      tcpFlags: view.getUint8(offset + 218),
      icmpType: view.getUint8(offset + 219),
      icmpCode: view.getUint8(offset + 220),
      isIcmpError: view.getUint8(offset + 221),
      dontFragment: view.getUint8(offset + 222),
      isUnroutable: view.getUint8(offset + 223),
      ctStatus: view.getUint8(offset + 224),
      lacksPorts: view.getUint8(offset + 225),
      hasWaiting: view.getUint8(offset + 226),
      isExternal: view.getUint8(offset + 227),
      wantsDsr: view.getUint8(offset + 228),
      isOneWay: view.getUint8(offset + 229),
      mayTell: view.getUint8(offset + 230),
      tells: view.getUint8(offset + 231),
      hasDsrOption: view.getUint8(offset + 232),
      isTold: view.getUint8(offset + 233),
      givenPort: view.getUint16(offset + 234),
      clientPort: view.getUint16(offset + 236),
      replyPort: view.getUint16(offset + 238),
      formerPort: view.getUint16(offset + 240),
    };
  },
};

/** struct explanation */
export interface Explanation {
  readonly tuple: Tuple;
  readonly frontend: TupleEnd;
  readonly nextHop: Address | undefined;
  readonly sourceIdentity: number;
  readonly destinationIdentity: number;
  readonly endpointId: number;
  readonly ifindex: number;
  readonly reason: number;
  readonly line: number;
  readonly mtu: number;
  readonly backendId: number;
  readonly isTold: number;
  readonly way: number;
  readonly ctStatus: number;
}

export const explanationCodec: Codec<Explanation> = {
  size: 120,
  encode(value, view, offset) {
    tupleCodec.encode(value.tuple, view, offset);
    tupleEndCodec.encode(value.frontend, view, offset + 40);
    addressCodec.encode(value.nextHop, view, offset + 60);
    view.setUint32(offset + 76, value.sourceIdentity, true);
    view.setUint32(offset + 80, value.destinationIdentity, true);
    view.setUint32(offset + 84, value.endpointId, true);
    view.setUint32(offset + 88, value.ifindex, true);
    view.setUint32(offset + 92, value.reason, true);
    view.setUint32(offset + 96, value.line, true);
    view.setUint32(offset + 100, value.mtu, true);
    view.setUint32(offset + 104, value.backendId, true);
    view.setUint8(offset + 108, value.isTold);
    view.setUint8(offset + 109, value.way);
    view.setUint8(offset + 110, value.ctStatus);
    zeroBytes(view, offset + 111, 9);
  },
  decode(view, offset) {
    return {
      tuple: tupleCodec.decode(view, offset),
      frontend: tupleEndCodec.decode(view, offset + 40),
      nextHop: addressCodec.decode(view, offset + 60),
      sourceIdentity: view.getUint32(offset + 76, true),
      destinationIdentity: view.getUint32(offset + 80, true),
      endpointId: view.getUint32(offset + 84, true),
      ifindex: view.getUint32(offset + 88, true),
      reason: view.getUint32(offset + 92, true),
      line: view.getUint32(offset + 96, true),
      mtu: view.getUint32(offset + 100, true),
      backendId: view.getUint32(offset + 104, true),
      isTold: view.getUint8(offset + 108),
      way: view.getUint8(offset + 109),
      ctStatus: view.getUint8(offset + 110),
    };
  },
};

/** struct counter_key */
export interface CounterKey {
  readonly reason: number;
  readonly direction: number;
}

export const counterKeyCodec: Codec<CounterKey> = {
  size: 4,
  encode(value, view, offset) {
    view.setUint8(offset, value.reason);
    view.setUint8(offset + 1, value.direction);
    zeroBytes(view, offset + 2, 2);
  },
  decode(view, offset) {
    return {
      reason: view.getUint8(offset),
      direction: view.getUint8(offset + 1),
    };
  },
};

/** struct counter */
export interface Counter {
  readonly packets: bigint;
  readonly bytes: bigint;
}

export const counterCodec: Codec<Counter> = {
  size: 16,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.packets, true);
    view.setBigUint64(offset + 8, value.bytes, true);
  },
  decode(view, offset) {
    return {
      packets: view.getBigUint64(offset, true),
      bytes: view.getBigUint64(offset + 8, true),
    };
  },
};

/** struct takeover */
export interface Takeover {
  readonly strictNs: bigint;
  readonly untilNs: bigint;
}

export const takeoverCodec: Codec<Takeover> = {
  size: 16,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.strictNs, true);
    view.setBigUint64(offset + 8, value.untilNs, true);
  },
  decode(view, offset) {
    return {
      strictNs: view.getBigUint64(offset, true),
      untilNs: view.getBigUint64(offset + 8, true),
    };
  },
};

/** struct device */
export interface Device {
  readonly ipv4: Address | undefined;
  readonly ipv6: Address | undefined;
}

export const deviceCodec: Codec<Device> = {
  size: 48,
  encode(value, view, offset) {
    addressCodec.encode(value.ipv4, view, offset);
    addressCodec.encode(value.ipv6, view, offset + 16);
    zeroBytes(view, offset + 32, 16);
  },
  decode(view, offset) {
    return {
      ipv4: addressCodec.decode(view, offset),
      ipv6: addressCodec.decode(view, offset + 16),
    };
  },
};

/** struct endpoint */
export interface Endpoint {
  readonly id: number;
  readonly ifindex: number;
  readonly identity: number;
  readonly flags: number;
  readonly mac: Mac;
  readonly nodeMac: Mac;
}

export const endpointCodec: Codec<Endpoint> = {
  size: 48,
  encode(value, view, offset) {
    view.setUint32(offset, value.id, true);
    view.setUint32(offset + 4, value.ifindex, true);
    view.setUint32(offset + 8, value.identity, true);
    view.setUint32(offset + 12, value.flags, true);
    macCodec.encode(value.mac, view, offset + 16);
    macCodec.encode(value.nodeMac, view, offset + 22);
    zeroBytes(view, offset + 28, 20);
  },
  decode(view, offset) {
    return {
      id: view.getUint32(offset, true),
      ifindex: view.getUint32(offset + 4, true),
      identity: view.getUint32(offset + 8, true),
      flags: view.getUint32(offset + 12, true),
      mac: macCodec.decode(view, offset + 16),
      nodeMac: macCodec.decode(view, offset + 22),
    };
  },
};

/** struct netns_endpoint */
export interface NetnsEndpoint {
  readonly endpointId: number;
  readonly identity: number;
  readonly ipv4: Address | undefined;
  readonly ipv6: Address | undefined;
}

export const netnsEndpointCodec: Codec<NetnsEndpoint> = {
  size: 40,
  encode(value, view, offset) {
    view.setUint32(offset, value.endpointId, true);
    view.setUint32(offset + 4, value.identity, true);
    addressCodec.encode(value.ipv4, view, offset + 8);
    addressCodec.encode(value.ipv6, view, offset + 24);
  },
  decode(view, offset) {
    return {
      endpointId: view.getUint32(offset, true),
      identity: view.getUint32(offset + 4, true),
      ipv4: addressCodec.decode(view, offset + 8),
      ipv6: addressCodec.decode(view, offset + 24),
    };
  },
};

/** struct fragment_key */
export interface FragmentKey {
  readonly source: Address | undefined;
  readonly destination: Address | undefined;
  readonly id: number;
  readonly protocol: number;
}

export const fragmentKeyCodec: Codec<FragmentKey> = {
  size: 40,
  encode(value, view, offset) {
    addressCodec.encode(value.source, view, offset);
    addressCodec.encode(value.destination, view, offset + 16);
    view.setUint32(offset + 32, value.id);
    view.setUint8(offset + 36, value.protocol);
    zeroBytes(view, offset + 37, 3);
  },
  decode(view, offset) {
    return {
      source: addressCodec.decode(view, offset),
      destination: addressCodec.decode(view, offset + 16),
      id: view.getUint32(offset + 32),
      protocol: view.getUint8(offset + 36),
    };
  },
};

/** struct fragment_ports */
export interface FragmentPorts {
  readonly knownNs: bigint;
  readonly flags: number;
  readonly source: number;
  readonly destination: number;
  readonly protocol: number;
}

export const fragmentPortsCodec: Codec<FragmentPorts> = {
  size: 24,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.knownNs, true);
    view.setUint32(offset + 8, value.flags, true);
    view.setUint16(offset + 12, value.source);
    view.setUint16(offset + 14, value.destination);
    view.setUint8(offset + 16, value.protocol);
    zeroBytes(view, offset + 17, 7);
  },
  decode(view, offset) {
    return {
      knownNs: view.getBigUint64(offset, true),
      flags: view.getUint32(offset + 8, true),
      source: view.getUint16(offset + 12),
      destination: view.getUint16(offset + 14),
      protocol: view.getUint8(offset + 16),
    };
  },
};

/** struct held_fragment */
export interface HeldFragment {
  readonly key: FragmentKey;
  readonly length: number;
  readonly isCopy: number;
  readonly direction: number;
  readonly bytes: Uint8Array;
}

const heldFragmentBytesCodec = bytesCodec(9216);

export const heldFragmentCodec: Codec<HeldFragment> = {
  size: 9264,
  encode(value, view, offset) {
    fragmentKeyCodec.encode(value.key, view, offset);
    view.setUint32(offset + 40, value.length, true);
    view.setUint8(offset + 44, value.isCopy);
    view.setUint8(offset + 45, value.direction);
    zeroBytes(view, offset + 46, 2);
    heldFragmentBytesCodec.encode(value.bytes, view, offset + 48);
  },
  decode(view, offset) {
    return {
      key: fragmentKeyCodec.decode(view, offset),
      length: view.getUint32(offset + 40, true),
      isCopy: view.getUint8(offset + 44),
      direction: view.getUint8(offset + 45),
      bytes: heldFragmentBytesCodec.decode(view, offset + 48),
    };
  },
};

/** struct ipcache_entry */
export interface IpcacheEntry {
  readonly tunnelEndpoint: Address | undefined;
  readonly identity: number;
  readonly flags: number;
  readonly mtu: number;
}

export const ipcacheEntryCodec: Codec<IpcacheEntry> = {
  size: 32,
  encode(value, view, offset) {
    addressCodec.encode(value.tunnelEndpoint, view, offset);
    view.setUint32(offset + 16, value.identity, true);
    view.setUint32(offset + 20, value.flags, true);
    view.setUint32(offset + 24, value.mtu, true);
    zeroBytes(view, offset + 28, 4);
  },
  decode(view, offset) {
    return {
      tunnelEndpoint: addressCodec.decode(view, offset),
      identity: view.getUint32(offset + 16, true),
      flags: view.getUint32(offset + 20, true),
      mtu: view.getUint32(offset + 24, true),
    };
  },
};

/** struct ipcache_prefix_key */
export interface IpcachePrefixKey {
  readonly prefixLength: number;
  readonly address: Address | undefined;
}

export const ipcachePrefixKeyCodec: Codec<IpcachePrefixKey> = {
  size: 20,
  encode(value, view, offset) {
    view.setUint32(offset, value.prefixLength, true);
    addressCodec.encode(value.address, view, offset + 4);
  },
  decode(view, offset) {
    return {
      prefixLength: view.getUint32(offset, true),
      address: addressCodec.decode(view, offset + 4),
    };
  },
};

/** struct kernel_drop_settings */
export interface KernelDropSettings {
  readonly netnsCookie: bigint;
  readonly ignoredReasons: readonly bigint[];
  readonly unspecifiedReason: number;
  readonly tcIngressReason: number;
  readonly tcEgressReason: number;
}

const kernelDropSettingsIgnoredReasonsCodec = arrayCodec(u64Codec, 4);

export const kernelDropSettingsCodec: Codec<KernelDropSettings> = {
  size: 72,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.netnsCookie, true);
    kernelDropSettingsIgnoredReasonsCodec.encode(value.ignoredReasons, view, offset + 8);
    view.setUint32(offset + 40, value.unspecifiedReason, true);
    view.setUint32(offset + 44, value.tcIngressReason, true);
    view.setUint32(offset + 48, value.tcEgressReason, true);
    zeroBytes(view, offset + 52, 20);
  },
  decode(view, offset) {
    return {
      netnsCookie: view.getBigUint64(offset, true),
      ignoredReasons: kernelDropSettingsIgnoredReasonsCodec.decode(view, offset + 8),
      unspecifiedReason: view.getUint32(offset + 40, true),
      tcIngressReason: view.getUint32(offset + 44, true),
      tcEgressReason: view.getUint32(offset + 48, true),
    };
  },
};

/** struct kernel_drop_key */
export interface KernelDropKey {
  readonly reason: number;
  readonly location: bigint;
}

export const kernelDropKeyCodec: Codec<KernelDropKey> = {
  size: 16,
  encode(value, view, offset) {
    view.setUint32(offset, value.reason, true);
    zeroBytes(view, offset + 4, 4);
    view.setBigUint64(offset + 8, value.location, true);
  },
  decode(view, offset) {
    return {
      reason: view.getUint32(offset, true),
      location: view.getBigUint64(offset + 8, true),
    };
  },
};

/** struct kernel_function */
export interface KernelFunction {
  readonly name: Uint8Array;
  readonly isTransport: number;
}

const kernelFunctionNameCodec = bytesCodec(40);

export const kernelFunctionCodec: Codec<KernelFunction> = {
  size: 48,
  encode(value, view, offset) {
    kernelFunctionNameCodec.encode(value.name, view, offset);
    view.setUint8(offset + 40, value.isTransport);
    zeroBytes(view, offset + 41, 7);
  },
  decode(view, offset) {
    return {
      name: kernelFunctionNameCodec.decode(view, offset),
      isTransport: view.getUint8(offset + 40),
    };
  },
};

/** struct maglev_key */
export interface MaglevKey {
  readonly serviceId: number;
  readonly generation: number;
  readonly chunk: number;
}

export const maglevKeyCodec: Codec<MaglevKey> = {
  size: 12,
  encode(value, view, offset) {
    view.setUint32(offset, value.serviceId, true);
    view.setUint32(offset + 4, value.generation, true);
    view.setUint32(offset + 8, value.chunk, true);
  },
  decode(view, offset) {
    return {
      serviceId: view.getUint32(offset, true),
      generation: view.getUint32(offset + 4, true),
      chunk: view.getUint32(offset + 8, true),
    };
  },
};

/** struct maglev_chunk */
export interface MaglevChunk {
  readonly checksum: number;
  readonly slots: Uint16Array;
}

const maglevChunkSlotsCodec = wordsCodec(2000);

export const maglevChunkCodec: Codec<MaglevChunk> = {
  size: 4004,
  encode(value, view, offset) {
    view.setUint32(offset, value.checksum, true);
    maglevChunkSlotsCodec.encode(value.slots, view, offset + 4);
  },
  decode(view, offset) {
    return {
      checksum: view.getUint32(offset, true),
      slots: maglevChunkSlotsCodec.decode(view, offset + 4),
    };
  },
};

/** struct frontend_key */
export interface FrontendKey {
  readonly address: Address | undefined;
  readonly port: number;
  readonly protocol: number;
  readonly scope: number;
}

export const frontendKeyCodec: Codec<FrontendKey> = {
  size: 20,
  encode(value, view, offset) {
    addressCodec.encode(value.address, view, offset);
    view.setUint16(offset + 16, value.port);
    view.setUint8(offset + 18, value.protocol);
    view.setUint8(offset + 19, value.scope);
  },
  decode(view, offset) {
    return {
      address: addressCodec.decode(view, offset),
      port: view.getUint16(offset + 16),
      protocol: view.getUint8(offset + 18),
      scope: view.getUint8(offset + 19),
    };
  },
};

/** struct frontend */
export interface Frontend {
  readonly serviceId: number;
  readonly generation: number;
  readonly backendCount: number;
  readonly affinitySeconds: number;
  readonly flags: number;
  readonly affinityId: number;
  readonly maglevSize: number;
}

export const frontendCodec: Codec<Frontend> = {
  size: 32,
  encode(value, view, offset) {
    view.setUint32(offset, value.serviceId, true);
    view.setUint32(offset + 4, value.generation, true);
    view.setUint32(offset + 8, value.backendCount, true);
    view.setUint32(offset + 12, value.affinitySeconds, true);
    view.setUint32(offset + 16, value.flags, true);
    view.setUint32(offset + 20, value.affinityId, true);
    view.setUint32(offset + 24, value.maglevSize, true);
    zeroBytes(view, offset + 28, 4);
  },
  decode(view, offset) {
    return {
      serviceId: view.getUint32(offset, true),
      generation: view.getUint32(offset + 4, true),
      backendCount: view.getUint32(offset + 8, true),
      affinitySeconds: view.getUint32(offset + 12, true),
      flags: view.getUint32(offset + 16, true),
      affinityId: view.getUint32(offset + 20, true),
      maglevSize: view.getUint32(offset + 24, true),
    };
  },
};

/** struct slot_key */
export interface SlotKey {
  readonly serviceId: number;
  readonly generation: number;
  readonly slot: number;
}

export const slotKeyCodec: Codec<SlotKey> = {
  size: 12,
  encode(value, view, offset) {
    view.setUint32(offset, value.serviceId, true);
    view.setUint32(offset + 4, value.generation, true);
    view.setUint32(offset + 8, value.slot, true);
  },
  decode(view, offset) {
    return {
      serviceId: view.getUint32(offset, true),
      generation: view.getUint32(offset + 4, true),
      slot: view.getUint32(offset + 8, true),
    };
  },
};

/** struct slot */
export interface Slot {
  readonly backendId: number;
}

export const slotCodec: Codec<Slot> = {
  size: 4,
  encode(value, view, offset) {
    view.setUint32(offset, value.backendId, true);
  },
  decode(view, offset) {
    return {
      backendId: view.getUint32(offset, true),
    };
  },
};

/** struct backend */
export interface Backend {
  readonly address: Address | undefined;
  readonly port: number;
  readonly protocol: number;
  readonly state: number;
}

export const backendCodec: Codec<Backend> = {
  size: 32,
  encode(value, view, offset) {
    addressCodec.encode(value.address, view, offset);
    view.setUint16(offset + 16, value.port);
    view.setUint8(offset + 18, value.protocol);
    view.setUint8(offset + 19, value.state);
    zeroBytes(view, offset + 20, 12);
  },
  decode(view, offset) {
    return {
      address: addressCodec.decode(view, offset),
      port: view.getUint16(offset + 16),
      protocol: view.getUint8(offset + 18),
      state: view.getUint8(offset + 19),
    };
  },
};

/** struct source_range_key */
export interface SourceRangeKey {
  readonly prefixLength: number;
  readonly serviceId: number;
  readonly generation: number;
  readonly address: Address | undefined;
}

export const sourceRangeKeyCodec: Codec<SourceRangeKey> = {
  size: 28,
  encode(value, view, offset) {
    view.setUint32(offset, value.prefixLength, true);
    view.setUint32(offset + 4, value.serviceId, true);
    view.setUint32(offset + 8, value.generation, true);
    addressCodec.encode(value.address, view, offset + 12);
  },
  decode(view, offset) {
    return {
      prefixLength: view.getUint32(offset, true),
      serviceId: view.getUint32(offset + 4, true),
      generation: view.getUint32(offset + 8, true),
      address: addressCodec.decode(view, offset + 12),
    };
  },
};

/** struct affinity_key */
export interface AffinityKey {
  readonly client: Address | undefined;
  readonly serviceId: number;
}

export const affinityKeyCodec: Codec<AffinityKey> = {
  size: 20,
  encode(value, view, offset) {
    addressCodec.encode(value.client, view, offset);
    view.setUint32(offset + 16, value.serviceId, true);
  },
  decode(view, offset) {
    return {
      client: addressCodec.decode(view, offset),
      serviceId: view.getUint32(offset + 16, true),
    };
  },
};

/** struct affinity */
export interface Affinity {
  readonly lastUsedNs: bigint;
  readonly backendId: number;
  readonly generation: number;
}

export const affinityCodec: Codec<Affinity> = {
  size: 16,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.lastUsedNs, true);
    view.setUint32(offset + 8, value.backendId, true);
    view.setUint32(offset + 12, value.generation, true);
  },
  decode(view, offset) {
    return {
      lastUsedNs: view.getBigUint64(offset, true),
      backendId: view.getUint32(offset + 8, true),
      generation: view.getUint32(offset + 12, true),
    };
  },
};

/** struct bpf_spin_lock */
export interface BpfSpinLock {
  readonly val: number;
}

export const bpfSpinLockCodec: Codec<BpfSpinLock> = {
  size: 4,
  encode(value, view, offset) {
    view.setUint32(offset, value.val, true);
  },
  decode(view, offset) {
    return {
      val: view.getUint32(offset, true),
    };
  },
};

/** struct connected_translation */
export interface ConnectedTranslation {
  readonly lock: BpfSpinLock;
  readonly backendId: number;
  readonly frontend: Address | undefined;
  readonly backend: Address | undefined;
  readonly frontendPort: number;
  readonly backendPort: number;
  readonly generation: number;
}

export const connectedTranslationCodec: Codec<ConnectedTranslation> = {
  size: 48,
  encode(value, view, offset) {
    bpfSpinLockCodec.encode(value.lock, view, offset);
    view.setUint32(offset + 4, value.backendId, true);
    addressCodec.encode(value.frontend, view, offset + 8);
    addressCodec.encode(value.backend, view, offset + 24);
    view.setUint16(offset + 40, value.frontendPort);
    view.setUint16(offset + 42, value.backendPort);
    view.setUint32(offset + 44, value.generation, true);
  },
  decode(view, offset) {
    return {
      lock: bpfSpinLockCodec.decode(view, offset),
      backendId: view.getUint32(offset + 4, true),
      frontend: addressCodec.decode(view, offset + 8),
      backend: addressCodec.decode(view, offset + 24),
      frontendPort: view.getUint16(offset + 40),
      backendPort: view.getUint16(offset + 42),
      generation: view.getUint32(offset + 44, true),
    };
  },
};

/** struct connected_socket */
export interface ConnectedSocket {
  readonly lock: BpfSpinLock;
  readonly backendId: number;
  readonly frontend: Address | undefined;
  readonly backend: Address | undefined;
  readonly frontendPort: number;
  readonly backendPort: number;
  readonly generation: number;
  readonly netnsCookie: bigint;
  readonly round: number;
  readonly protocol: number;
}

export const connectedSocketCodec: Codec<ConnectedSocket> = {
  size: 64,
  encode(value, view, offset) {
    bpfSpinLockCodec.encode(value.lock, view, offset);
    view.setUint32(offset + 4, value.backendId, true);
    addressCodec.encode(value.frontend, view, offset + 8);
    addressCodec.encode(value.backend, view, offset + 24);
    view.setUint16(offset + 40, value.frontendPort);
    view.setUint16(offset + 42, value.backendPort);
    view.setUint32(offset + 44, value.generation, true);
    view.setBigUint64(offset + 48, value.netnsCookie, true);
    view.setUint32(offset + 56, value.round, true);
    view.setUint8(offset + 60, value.protocol);
    zeroBytes(view, offset + 61, 3);
  },
  decode(view, offset) {
    return {
      lock: bpfSpinLockCodec.decode(view, offset),
      backendId: view.getUint32(offset + 4, true),
      frontend: addressCodec.decode(view, offset + 8),
      backend: addressCodec.decode(view, offset + 24),
      frontendPort: view.getUint16(offset + 40),
      backendPort: view.getUint16(offset + 42),
      generation: view.getUint32(offset + 44, true),
      netnsCookie: view.getBigUint64(offset + 48, true),
      round: view.getUint32(offset + 56, true),
      protocol: view.getUint8(offset + 60),
    };
  },
};

/** struct translation */
export interface Translation {
  readonly frontend: Address | undefined;
  readonly backend: Address | undefined;
  readonly frontendPort: number;
  readonly backendPort: number;
  readonly backendId: number;
  readonly generation: number;
  readonly lastUse: number;
}

export const translationCodec: Codec<Translation> = {
  size: 48,
  encode(value, view, offset) {
    addressCodec.encode(value.frontend, view, offset);
    addressCodec.encode(value.backend, view, offset + 16);
    view.setUint16(offset + 32, value.frontendPort);
    view.setUint16(offset + 34, value.backendPort);
    view.setUint32(offset + 36, value.backendId, true);
    view.setUint32(offset + 40, value.generation, true);
    view.setUint32(offset + 44, value.lastUse, true);
  },
  decode(view, offset) {
    return {
      frontend: addressCodec.decode(view, offset),
      backend: addressCodec.decode(view, offset + 16),
      frontendPort: view.getUint16(offset + 32),
      backendPort: view.getUint16(offset + 34),
      backendId: view.getUint32(offset + 36, true),
      generation: view.getUint32(offset + 40, true),
      lastUse: view.getUint32(offset + 44, true),
    };
  },
};

/** struct socket_translations */
export interface SocketTranslations {
  readonly lock: BpfSpinLock;
  readonly uses: number;
  readonly entries: readonly Translation[];
}

const socketTranslationsEntriesCodec = arrayCodec(translationCodec, 8);

export const socketTranslationsCodec: Codec<SocketTranslations> = {
  size: 392,
  encode(value, view, offset) {
    bpfSpinLockCodec.encode(value.lock, view, offset);
    view.setUint32(offset + 4, value.uses, true);
    socketTranslationsEntriesCodec.encode(value.entries, view, offset + 8);
  },
  decode(view, offset) {
    return {
      lock: bpfSpinLockCodec.decode(view, offset),
      uses: view.getUint32(offset + 4, true),
      entries: socketTranslationsEntriesCodec.decode(view, offset + 8),
    };
  },
};

/** struct peer */
export interface Peer {
  readonly address: Address | undefined;
  readonly port: number;
}

export const peerCodec: Codec<Peer> = {
  size: 20,
  encode(value, view, offset) {
    addressCodec.encode(value.address, view, offset);
    view.setUint16(offset + 16, value.port);
    zeroBytes(view, offset + 18, 2);
  },
  decode(view, offset) {
    return {
      address: addressCodec.decode(view, offset),
      port: view.getUint16(offset + 16),
    };
  },
};

/** struct drop_event */
export interface DropEvent {
  readonly type: number;
  readonly reason: number;
  readonly direction: number;
  readonly tracePoint: number;
  readonly ifindex: number;
  readonly timestampNs: bigint;
  readonly tuple: Tuple;
  readonly sourceIdentity: number;
  readonly destinationIdentity: number;
  readonly endpointId: number;
  readonly packetLength: number;
  readonly line: number;
  readonly capturedLength: number;
  readonly packet: Uint8Array;
}

const dropEventPacketCodec = bytesCodec(96);

export const dropEventCodec: Codec<DropEvent> = {
  size: 176,
  encode(value, view, offset) {
    view.setUint8(offset, value.type);
    view.setUint8(offset + 1, value.reason);
    view.setUint8(offset + 2, value.direction);
    view.setUint8(offset + 3, value.tracePoint);
    view.setUint32(offset + 4, value.ifindex, true);
    view.setBigUint64(offset + 8, value.timestampNs, true);
    tupleCodec.encode(value.tuple, view, offset + 16);
    view.setUint32(offset + 56, value.sourceIdentity, true);
    view.setUint32(offset + 60, value.destinationIdentity, true);
    view.setUint32(offset + 64, value.endpointId, true);
    view.setUint32(offset + 68, value.packetLength, true);
    view.setUint32(offset + 72, value.line, true);
    view.setUint32(offset + 76, value.capturedLength, true);
    dropEventPacketCodec.encode(value.packet, view, offset + 80);
  },
  decode(view, offset) {
    return {
      type: view.getUint8(offset),
      reason: view.getUint8(offset + 1),
      direction: view.getUint8(offset + 2),
      tracePoint: view.getUint8(offset + 3),
      ifindex: view.getUint32(offset + 4, true),
      timestampNs: view.getBigUint64(offset + 8, true),
      tuple: tupleCodec.decode(view, offset + 16),
      sourceIdentity: view.getUint32(offset + 56, true),
      destinationIdentity: view.getUint32(offset + 60, true),
      endpointId: view.getUint32(offset + 64, true),
      packetLength: view.getUint32(offset + 68, true),
      line: view.getUint32(offset + 72, true),
      capturedLength: view.getUint32(offset + 76, true),
      packet: dropEventPacketCodec.decode(view, offset + 80),
    };
  },
};

/** struct trace_event */
export interface TraceEvent {
  readonly type: number;
  readonly state: number;
  readonly direction: number;
  readonly tracePoint: number;
  readonly ifindex: number;
  readonly timestampNs: bigint;
  readonly tuple: Tuple;
  readonly dnat: TupleEnd;
  readonly snat: TupleEnd;
  readonly sourceIdentity: number;
  readonly destinationIdentity: number;
  readonly endpointId: number;
  readonly tcpFlags: readonly number[];
  readonly packets: readonly bigint[];
  readonly bytes: readonly bigint[];
}

const traceEventTcpFlagsCodec = arrayCodec(u8Codec, 2);
const traceEventPacketsCodec = arrayCodec(u64Codec, 2);
const traceEventBytesCodec = arrayCodec(u64Codec, 2);

export const traceEventCodec: Codec<TraceEvent> = {
  size: 144,
  encode(value, view, offset) {
    view.setUint8(offset, value.type);
    view.setUint8(offset + 1, value.state);
    view.setUint8(offset + 2, value.direction);
    view.setUint8(offset + 3, value.tracePoint);
    view.setUint32(offset + 4, value.ifindex, true);
    view.setBigUint64(offset + 8, value.timestampNs, true);
    tupleCodec.encode(value.tuple, view, offset + 16);
    tupleEndCodec.encode(value.dnat, view, offset + 56);
    tupleEndCodec.encode(value.snat, view, offset + 76);
    view.setUint32(offset + 96, value.sourceIdentity, true);
    view.setUint32(offset + 100, value.destinationIdentity, true);
    view.setUint32(offset + 104, value.endpointId, true);
    traceEventTcpFlagsCodec.encode(value.tcpFlags, view, offset + 108);
    zeroBytes(view, offset + 110, 2);
    traceEventPacketsCodec.encode(value.packets, view, offset + 112);
    traceEventBytesCodec.encode(value.bytes, view, offset + 128);
  },
  decode(view, offset) {
    return {
      type: view.getUint8(offset),
      state: view.getUint8(offset + 1),
      direction: view.getUint8(offset + 2),
      tracePoint: view.getUint8(offset + 3),
      ifindex: view.getUint32(offset + 4, true),
      timestampNs: view.getBigUint64(offset + 8, true),
      tuple: tupleCodec.decode(view, offset + 16),
      dnat: tupleEndCodec.decode(view, offset + 56),
      snat: tupleEndCodec.decode(view, offset + 76),
      sourceIdentity: view.getUint32(offset + 96, true),
      destinationIdentity: view.getUint32(offset + 100, true),
      endpointId: view.getUint32(offset + 104, true),
      tcpFlags: traceEventTcpFlagsCodec.decode(view, offset + 108),
      packets: traceEventPacketsCodec.decode(view, offset + 112),
      bytes: traceEventBytesCodec.decode(view, offset + 128),
    };
  },
};

/** struct kernel_drop_event */
export interface KernelDropEvent {
  readonly type: number;
  readonly networkOffset: number;
  readonly protocol: number;
  readonly reason: number;
  readonly timestampNs: bigint;
  readonly endpointId: number;
  readonly packetLength: number;
  readonly capturedLength: number;
  readonly device: readonly number[];
  readonly function: Uint8Array;
  readonly packet: Uint8Array;
}

const kernelDropEventDeviceCodec = arrayCodec(u8Codec, 16);
const kernelDropEventFunctionCodec = bytesCodec(40);
const kernelDropEventPacketCodec = bytesCodec(96);

export const kernelDropEventCodec: Codec<KernelDropEvent> = {
  size: 184,
  encode(value, view, offset) {
    view.setUint8(offset, value.type);
    view.setUint8(offset + 1, value.networkOffset);
    view.setUint16(offset + 2, value.protocol);
    view.setUint32(offset + 4, value.reason, true);
    view.setBigUint64(offset + 8, value.timestampNs, true);
    view.setUint32(offset + 16, value.endpointId, true);
    view.setUint32(offset + 20, value.packetLength, true);
    view.setUint32(offset + 24, value.capturedLength, true);
    zeroBytes(view, offset + 28, 4);
    kernelDropEventDeviceCodec.encode(value.device, view, offset + 32);
    kernelDropEventFunctionCodec.encode(value.function, view, offset + 48);
    kernelDropEventPacketCodec.encode(value.packet, view, offset + 88);
  },
  decode(view, offset) {
    return {
      type: view.getUint8(offset),
      networkOffset: view.getUint8(offset + 1),
      protocol: view.getUint16(offset + 2),
      reason: view.getUint32(offset + 4, true),
      timestampNs: view.getBigUint64(offset + 8, true),
      endpointId: view.getUint32(offset + 16, true),
      packetLength: view.getUint32(offset + 20, true),
      capturedLength: view.getUint32(offset + 24, true),
      device: kernelDropEventDeviceCodec.decode(view, offset + 32),
      function: kernelDropEventFunctionCodec.decode(view, offset + 48),
      packet: kernelDropEventPacketCodec.decode(view, offset + 88),
    };
  },
};

/** struct inspected_translation */
export interface InspectedTranslation {
  readonly socketCookie: bigint;
  readonly netnsCookie: bigint;
  readonly protocol: number;
  readonly translation: Translation;
}

export const inspectedTranslationCodec: Codec<InspectedTranslation> = {
  size: 72,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.socketCookie, true);
    view.setBigUint64(offset + 8, value.netnsCookie, true);
    view.setUint32(offset + 16, value.protocol, true);
    zeroBytes(view, offset + 20, 4);
    translationCodec.encode(value.translation, view, offset + 24);
  },
  decode(view, offset) {
    return {
      socketCookie: view.getBigUint64(offset, true),
      netnsCookie: view.getBigUint64(offset + 8, true),
      protocol: view.getUint32(offset + 16, true),
      translation: translationCodec.decode(view, offset + 24),
    };
  },
};

/** struct inspected_map */
export interface InspectedMap {
  readonly entries: bigint;
  readonly id: number;
}

export const inspectedMapCodec: Codec<InspectedMap> = {
  size: 16,
  encode(value, view, offset) {
    view.setBigInt64(offset, value.entries, true);
    view.setUint32(offset + 8, value.id, true);
    zeroBytes(view, offset + 12, 4);
  },
  decode(view, offset) {
    return {
      entries: view.getBigInt64(offset, true),
      id: view.getUint32(offset + 8, true),
    };
  },
};

/** struct socket_question */
export interface SocketQuestion {
  readonly netnsCookie: bigint;
  readonly address: Address | undefined;
  readonly client: Address | undefined;
  readonly backend: Address | undefined;
  readonly port: number;
  readonly backendPort: number;
  readonly protocol: number;
  readonly result: number;
  readonly isByAffinity: number;
  readonly serviceId: number;
  readonly generation: number;
  readonly backendCount: number;
  readonly affinitySeconds: number;
  readonly backendId: number;
  readonly unused: number;
}

export const socketQuestionCodec: Codec<SocketQuestion> = {
  size: 88,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.netnsCookie, true);
    addressCodec.encode(value.address, view, offset + 8);
    addressCodec.encode(value.client, view, offset + 24);
    addressCodec.encode(value.backend, view, offset + 40);
    view.setUint16(offset + 56, value.port);
    view.setUint16(offset + 58, value.backendPort);
    view.setUint8(offset + 60, value.protocol);
    view.setUint8(offset + 61, value.result);
    view.setUint8(offset + 62, value.isByAffinity);
    zeroBytes(view, offset + 63, 1);
    view.setUint32(offset + 64, value.serviceId, true);
    view.setUint32(offset + 68, value.generation, true);
    view.setUint32(offset + 72, value.backendCount, true);
    view.setUint32(offset + 76, value.affinitySeconds, true);
    view.setUint32(offset + 80, value.backendId, true);
    view.setUint32(offset + 84, value.unused, true);
  },
  decode(view, offset) {
    return {
      netnsCookie: view.getBigUint64(offset, true),
      address: addressCodec.decode(view, offset + 8),
      client: addressCodec.decode(view, offset + 24),
      backend: addressCodec.decode(view, offset + 40),
      port: view.getUint16(offset + 56),
      backendPort: view.getUint16(offset + 58),
      protocol: view.getUint8(offset + 60),
      result: view.getUint8(offset + 61),
      isByAffinity: view.getUint8(offset + 62),
      serviceId: view.getUint32(offset + 64, true),
      generation: view.getUint32(offset + 68, true),
      backendCount: view.getUint32(offset + 72, true),
      affinitySeconds: view.getUint32(offset + 76, true),
      backendId: view.getUint32(offset + 80, true),
      unused: view.getUint32(offset + 84, true),
    };
  },
};

/** struct service_question */
export interface ServiceQuestion {
  readonly address: Address | undefined;
  readonly client: Address | undefined;
  readonly frontend: Address | undefined;
  readonly backend: Address | undefined;
  readonly port: number;
  readonly clientPort: number;
  readonly protocol: number;
  readonly isExternal: number;
  readonly isNode: number;
  readonly answer: number;
  readonly backendPort: number;
  readonly scope: number;
  readonly isByAffinity: number;
  readonly backendId: number;
  readonly serviceId: number;
  readonly generation: number;
  readonly backendCount: number;
  readonly affinitySeconds: number;
  readonly flags: number;
  readonly maglevSize: number;
}

export const serviceQuestionCodec: Codec<ServiceQuestion> = {
  size: 104,
  encode(value, view, offset) {
    addressCodec.encode(value.address, view, offset);
    addressCodec.encode(value.client, view, offset + 16);
    addressCodec.encode(value.frontend, view, offset + 32);
    addressCodec.encode(value.backend, view, offset + 48);
    view.setUint16(offset + 64, value.port);
    view.setUint16(offset + 66, value.clientPort);
    view.setUint8(offset + 68, value.protocol);
    view.setUint8(offset + 69, value.isExternal);
    view.setUint8(offset + 70, value.isNode);
    view.setUint8(offset + 71, value.answer);
    view.setUint16(offset + 72, value.backendPort);
    view.setUint8(offset + 74, value.scope);
    view.setUint8(offset + 75, value.isByAffinity);
    view.setUint32(offset + 76, value.backendId, true);
    view.setUint32(offset + 80, value.serviceId, true);
    view.setUint32(offset + 84, value.generation, true);
    view.setUint32(offset + 88, value.backendCount, true);
    view.setUint32(offset + 92, value.affinitySeconds, true);
    view.setUint32(offset + 96, value.flags, true);
    view.setUint32(offset + 100, value.maglevSize, true);
  },
  decode(view, offset) {
    return {
      address: addressCodec.decode(view, offset),
      client: addressCodec.decode(view, offset + 16),
      frontend: addressCodec.decode(view, offset + 32),
      backend: addressCodec.decode(view, offset + 48),
      port: view.getUint16(offset + 64),
      clientPort: view.getUint16(offset + 66),
      protocol: view.getUint8(offset + 68),
      isExternal: view.getUint8(offset + 69),
      isNode: view.getUint8(offset + 70),
      answer: view.getUint8(offset + 71),
      backendPort: view.getUint16(offset + 72),
      scope: view.getUint8(offset + 74),
      isByAffinity: view.getUint8(offset + 75),
      backendId: view.getUint32(offset + 76, true),
      serviceId: view.getUint32(offset + 80, true),
      generation: view.getUint32(offset + 84, true),
      backendCount: view.getUint32(offset + 88, true),
      affinitySeconds: view.getUint32(offset + 92, true),
      flags: view.getUint32(offset + 96, true),
      maglevSize: view.getUint32(offset + 100, true),
    };
  },
};
