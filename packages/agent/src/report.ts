/**
 * What the agent's local API answers: the contract between agent and command line. Times are milliseconds since the
 * epoch. Everything in it was looked at when it was asked for (kernel, tables), never copied from the configuration.
 */
import type { SluiceValues } from '@sluice/config';

export type State = 'ok' | 'off' | 'degraded';

/** `GET /status` */
export interface StatusReport {
  readonly node: string;
  readonly version: string;
  readonly startedAt: number;
  readonly kernel: string;
  readonly kubernetes: {
    readonly state: State;
    /** The server in use, and the others that may be used. */
    readonly server: string;
    readonly version: string | undefined;
    /** How far this node's clock is ahead of the server's; undefined: it has not told its time. */
    readonly clockAheadMs: number | undefined;
    readonly lastError: string | undefined;
    /** Kinds watched, and whether each has delivered its list. */
    readonly watches: readonly {
      readonly kind: string;
      readonly synced: boolean;
      readonly objects: number;
      /** Why there is nothing to watch. */
      readonly off: string | undefined;
      /** Undefined while all is well. */
      readonly lastError: string | undefined;
    }[];
  };
  readonly kubeProxyReplacement: {
    /** True when the socket hooks' links are found attached in the kernel. */
    readonly enabled: boolean;
    readonly why: string | undefined;
    readonly devices: readonly { readonly name: string; readonly addresses: readonly string[]; readonly why: string }[];
    /** `loadBalancer.mode`, which Services may set aside; undefined: of an agent that has no other than snat. */
    readonly forwarding: 'snat' | 'dsr' | 'hybrid' | undefined;
    /** Hooks by what the kernel says of them. */
    readonly hooks: readonly { readonly name: string; readonly attached: boolean; readonly why: string | undefined }[];
    readonly nodePorts: {
      readonly first: number;
      readonly last: number;
      /** Of the node, and of loopback. */
      readonly addresses: readonly string[];
      /** Of the node, but outside of nodePort.addresses: the port is the node's own there. */
      readonly without: readonly string[];
    };
    /** `10.96.0.10:80/TCP of shop/thief`, with the owner: addresses in spec.externalIPs that somebody else has. */
    readonly refusedExternalIps: readonly { readonly key: string; readonly reason: string }[];
    /** `10.96.0.10:80/TCP of shop/web`, with the older service that has it. */
    readonly conflicts: readonly { readonly key: string; readonly reason: string }[];
  };
  readonly cni: {
    readonly state: State;
    readonly socket: string;
    readonly configFile: string | undefined;
    readonly why: string | undefined;
  };
  readonly ipam: readonly {
    readonly family: 4 | 6;
    readonly prefix: string;
    readonly allocated: number;
    /** Undefined past 2^53. */
    readonly total: number | undefined;
  }[];
  readonly routing: {
    readonly network: string;
    /** How packets reach the world: `BPF`, or `Legacy` by the host's stack. */
    readonly host: string;
    readonly hostWhy: string | undefined;
    /** Of the pods' interfaces. */
    readonly mtu: number;
    /** What fits into the tunnel to each other node, as the route there has it. */
    readonly routes: readonly {
      readonly node: string;
      readonly podCidrs: readonly string[];
      readonly tunnelEndpoint: string;
      readonly mtu: number;
    }[];
  };
  /** Every device that is no pod's, and why it was chosen to face the network or not. */
  readonly devices: readonly {
    readonly name: string;
    readonly mtu: number;
    readonly addresses: readonly string[];
    readonly selected: boolean;
    readonly why: string;
  }[];
  /** XDP; undefined: of an agent that has none. */
  readonly acceleration:
    | {
        /** `loadBalancer.acceleration` */
        readonly wanted: string;
        /** What runs at each device that faces the network, by the kernel's word. */
        readonly devices: readonly {
          readonly name: string;
          readonly mode: 'native' | 'generic' | 'off';
          /** Why there is nothing, or what it cannot do; empty: all is well. */
          readonly why: string;
        }[];
      }
    | undefined;
  readonly attachMode: string;
  readonly masquerading: {
    readonly state: State;
    readonly why: string | undefined;
    readonly ipv4: boolean;
    readonly ipv6: boolean;
    /** With which addresses packets leave, the best of each family first. */
    readonly devices: readonly { readonly name: string; readonly addresses: readonly string[] }[];
  };
  /** The destination towards which most ports of the node are taken, by the last look; undefined: none, or not looked yet. */
  readonly natPorts:
    | {
        /** `198.51.100.10:443/TCP` */
        readonly destination: string;
        /** What it sees as the source. */
        readonly source: string;
        readonly ports: number;
        readonly portsMax: number;
        /** Somebody was refused of late, since there was none left. */
        readonly isExhausted: boolean;
      }
    | undefined;
  readonly controllers: {
    readonly total: number;
    readonly healthy: number;
    readonly list: readonly {
      readonly name: string;
      readonly successCount: number;
      readonly failureCount: number;
      /** 0 while the last run went well; times tell nothing of that, for somebody may set the clock. */
      readonly consecutiveFailures: number;
      readonly lastSuccessAt: number | undefined;
      readonly lastFailureAt: number | undefined;
      readonly lastError: string | undefined;
    }[];
  };
  readonly modules: readonly { readonly name: string; readonly state: State; readonly why: string | undefined }[];
  readonly maps: readonly MapUsage[];
  /** Rules found in the node's network namespace that are not ours; we have none. */
  readonly foreignRules: readonly {
    readonly kind: 'iptables' | 'nftables';
    readonly owner: string;
    readonly count: number;
  }[];
  /** Why the rules could not be counted, if so: then nothing is claimed about them. */
  readonly foreignRulesUnknown: string | undefined;
  /** BPF programs of others where our packets and sockets come by, in their order. */
  readonly foreignPrograms: readonly {
    readonly hook: string;
    /** Undefined: the hook is a cgroup's. */
    readonly device: string | undefined;
    readonly id: number;
    readonly name: string;
    readonly place: 'before ours' | 'after ours' | 'alone';
  }[];
  /** Why nobody could look, if so. */
  readonly foreignProgramsUnknown: string | undefined;
  /** Filters of `tc` at devices where our programs are: behind ours, they see only what those hand on to the host's stack. */
  readonly foreignFilters: readonly {
    readonly device: string;
    readonly hook: 'ingress' | 'egress';
    readonly kind: string;
    readonly priority: number;
    /** Of a BPF filter. */
    readonly program: { readonly id: number; readonly name: string } | undefined;
  }[];
  readonly nodes: readonly {
    readonly name: string;
    readonly local: boolean;
    readonly addresses: readonly string[];
    readonly state: 'reachable' | 'unreachable' | 'unknown';
    readonly why: string | undefined;
  }[];
  readonly drops: readonly {
    readonly reason: string;
    readonly direction: string;
    readonly packets: number;
    readonly bytes: number;
    readonly hint: string;
  }[];
  readonly forwarded: readonly { readonly direction: string; readonly packets: number; readonly bytes: number }[];
  /** Events that found the ring full. */
  readonly eventsLost: number;
  /** Drops of the kernel that could not be counted, as its tracepoint was busy on that CPU. */
  readonly kernelDropsMissed: number;
  /** Events that were held back because a CPU dropped more packets than its budget of events allows. */
  readonly eventsWithheld: number;
  /** The same of changes of connections, which `monitor --type trace` would have shown. */
  readonly tracesWithheld: number;
  readonly configurationWarnings: readonly string[];
}

/** `GET /maps` */
export interface MapUsage {
  readonly name: string;
  readonly type: string;
  readonly entries: number | undefined;
  readonly maxEntries: number;
  readonly bytes: number | undefined;
}

/** A line of `GET /maglev` (newline-delimited JSON): what share of a frontend's Maglev table a backend has, as the kernel has both. */
export interface MaglevReport {
  /** `10.10.30.240:80/TCP` */
  readonly frontend: string;
  /** `namespace/name:port`; empty: nobody wants the frontend any more. */
  readonly service: string;
  /** Entries of the table. */
  readonly size: number;
  /** `10.244.1.7:8080/TCP`; empty: of entries that lead nowhere. */
  readonly backend: string;
  readonly node: string;
  /** Of the table's those that lead to this backend. */
  readonly entries: number;
  readonly problem: string | undefined;
}

/** A line of `GET /backends` (newline-delimited JSON). */
export interface BackendReport {
  /** In the kernel; undefined: it is not there. */
  readonly id: number | undefined;
  /** `10.244.1.7:8080/TCP` */
  readonly backend: string;
  readonly state: string;
  /** Empty: not known. */
  readonly node: string;
  /** Empty: not known. */
  readonly zone: string;
  /** `namespace/name:port` of those that use it. */
  readonly services: readonly string[];
  /** How many frontends lead to it. */
  readonly instances: number;
  readonly problem: string | undefined;
}

/** A line of `GET /maps/NAME` (newline-delimited JSON): fields as `packages/datapath/src/generated` has them, addresses as text. */
export interface MapRow {
  readonly key: unknown;
  readonly value: unknown;
}

/** `GET /config` */
export interface ConfigReport {
  /** The same as data; `options` has it as text. */
  readonly values: SluiceValues;
  /** Of the values; undefined: all options have their defaults. */
  readonly file: string | undefined;
  readonly options: readonly {
    readonly name: string;
    readonly value: string;
    /** Undefined: the command line, which has none here. */
    readonly standard: string | undefined;
    /** `default`, the file with the line, or `command line`. */
    readonly source: string;
    readonly sentence: string;
    /** Set where it was asked for and something else happens. */
    readonly warning: string | undefined;
  }[];
  /** Options of the incumbent that we lack, and what happens instead. */
  readonly lacked: Readonly<Record<string, string>>;
  readonly warnings: readonly string[];
}

/** A line of `GET /identities` (newline-delimited JSON). */
export interface IdentityRow {
  readonly identity: number;
  readonly labels: readonly string[];
  /** How many of this node's endpoints have it. */
  readonly endpoints: number;
  /** Nobody in the cluster has used it from then on; it is about to be deleted. */
  readonly unusedSince: number | undefined;
}

/** A line of `GET /ips` (newline-delimited JSON). */
export interface IpListRow {
  readonly prefix: string;
  readonly identity: number;
  /** Empty: the identity is not known here (yet). */
  readonly labels: readonly string[];
  /** Empty: on no node. */
  readonly node: string;
  readonly tunnelEndpoint: string | undefined;
  /** Who says so: this node (`endpoint`, `host`), a Node object, what a node publishes, or a range. */
  readonly source: 'endpoint' | 'host' | 'node' | 'slice' | 'pod CIDR' | 'service CIDR';
  readonly pod: string | undefined;
}

/** `GET /programs` */
export interface ProgramUsage {
  readonly name: string;
  readonly type: string;
  readonly id: number;
  readonly attachedTo: readonly string[];
  readonly instructions: number;
  /** Kernel memory. */
  readonly bytes: number;
  /** Undefined while the kernel's statistics are off (`kernel.bpf_stats_enabled`). */
  readonly runCount: number | undefined;
  readonly averageNs: number | undefined;
}

/** The first line of `GET /tables/NAME`; `GET /tables` lists their names with the number of rows. */
export interface TableHead {
  readonly name: string;
  readonly revision: number;
  readonly initialized: boolean;
  /** In the order in which people read them. */
  readonly columns: readonly string[];
}

/** A further line: an object. */
export interface TableLine {
  /** As people read it, a text for each column. */
  readonly cells: readonly string[];
  /** The whole of it. */
  readonly row: unknown;
}

/** One end of a connection. */
export interface NamedEnd {
  /** Empty where it is not known. */
  readonly address: string;
  readonly port: number;
  /** `namespace/pod`, `service namespace/name`, `node NAME`, or empty. */
  readonly name: string;
}

export interface BothWays {
  readonly sent: number;
  readonly replied: number;
}

/** One line of `GET /connections` (newline-delimited JSON, to its end). */
export interface ConnectionReport {
  readonly protocol: string;
  /** Who began, and where the packets go. */
  readonly source: NamedEnd;
  readonly destination: NamedEnd;
  readonly sourceIdentity: string;
  readonly destinationIdentity: string;
  /** The service's address that the client named, where packets are translated. */
  readonly frontend: NamedEnd | undefined;
  /** What the other side sees as the source, where that is translated. */
  readonly translatedSource: NamedEnd | undefined;
  /** Of a service with DSR: this node was asked and another one answers, or the other way; undefined: without. */
  readonly dsr: 'asked' | 'answering' | undefined;
  readonly state: string;
  /** Not established: may be forgotten when many others come. */
  readonly isEvictable: boolean;
  readonly ageSeconds: number;
  readonly expiresSeconds: number;
  readonly packets: BothWays;
  readonly bytes: BothWays;
}

/** An item of `GET /nat-ports`, the fullest first: a destination towards which connections have ports of the node's range. */
export interface NatPortsReport {
  readonly protocol: string;
  readonly destination: NamedEnd;
  /** What the destination sees as the source. */
  readonly source: NamedAddress;
  /** Of the range, that connections have; what sockets of the node have is not among them. */
  readonly ports: number;
  readonly portsMax: number;
  /** Somebody was refused of late, since there was none left. */
  readonly isExhausted: boolean;
  /** Who has them, the biggest first; of very many only those. */
  readonly clients: readonly (NamedAddress & { readonly ports: number })[];
}

export interface NamedAddress {
  readonly address: string;
  /** See NamedEnd. */
  readonly name: string;
}

/** What drops and traces have in common. */
interface SeenTraffic {
  readonly at: number;
  /** In the datapath; of the kernel the function that dropped it. */
  readonly tracePoint: string;
  /** `namespace/pod`, `service namespace/name`, `node NAME`, the address, or empty. */
  readonly source: string;
  readonly destination: string;
  /** Empty and 0 where the packet ended before. */
  readonly sourceAddress: string;
  readonly sourcePort: number;
  readonly destinationAddress: string;
  readonly destinationPort: number;
  readonly protocol: string;
  readonly sourceIdentity: string;
  readonly destinationIdentity: string;
  /** Empty where there was no packet yet: a call was refused. */
  readonly interface: string;
}

/** `GET /explain?from=…&to=…`: what would become of a connection, asked of the programs; nothing is sent. */
export interface ExplainReport {
  /** `namespace/pod`, or `host`. */
  readonly from: string;
  readonly to: string;
  readonly protocol: string;
  readonly verdict: 'forwarded' | 'dropped';
  /** What it comes to, in a sentence. */
  readonly summary: string;
  /** What to look at where it was dropped. */
  readonly hint: string | undefined;
  readonly steps: readonly ExplainStep[];
}

/** What happened, in the order in which it does. */
export interface ExplainStep {
  readonly step:
    | 'pod'
    | 'name'
    | 'service'
    | 'socket'
    | 'packet'
    | 'source'
    | 'connection'
    | 'translation'
    | 'route'
    | 'masquerade'
    | 'drop'
    | 'answer'
    | 'note';
  readonly text: string;
  /** The same for programs. */
  readonly facts: Readonly<Record<string, string | number | boolean>>;
}

/** `GET /explain/service?service=…`: what clients of a service get on this node, and why. */
export interface ServiceExplainReport {
  /** `namespace/name` */
  readonly service: string;
  readonly node: string;
  readonly zone: string | undefined;
  /** Who was asked for; undefined: one of each kind. */
  readonly from: string | undefined;
  /** What the object says. */
  readonly about: readonly ServiceExplainStep[];
  /** Why it has no place at all. */
  readonly why: string | undefined;
  /** One for each place and client. */
  readonly places: readonly ServicePlaceReport[];
  /** What the service asks for, and nothing serves it there. */
  readonly unserved: readonly {
    readonly key: string;
    readonly type: string;
    readonly portName: string;
    readonly reason: string;
  }[];
  readonly endpoints: readonly ServiceEndpointReport[];
  /** Somebody gets a backend somewhere. */
  readonly isServed: boolean;
}

/** `outside`: by the network. */
export type ServiceClientKind = 'pod' | 'node' | 'outside';

export interface ServiceExplainStep {
  readonly step: string;
  readonly text: string;
}

export interface ServicePlaceReport {
  readonly frontend: string;
  readonly type: string;
  readonly portName: string;
  readonly client: string;
  /** `not served`: this client is led nowhere there. `not asked`: the programs of this node do not know. */
  readonly verdict: 'served' | 'refused' | 'dropped' | 'not served' | 'not asked';
  readonly summary: string;
  readonly steps: readonly ServiceExplainStep[];
  /** As the kernel has them, one of which the client gets. */
  readonly backends: readonly ServicePlaceBackend[];
}

export interface ServicePlaceBackend {
  readonly backend: string;
  /** `namespace/name`, or empty. */
  readonly pod: string;
  readonly node: string | undefined;
  readonly zone: string | undefined;
  readonly state: string;
}

/** An endpoint of the service, and where it is no backend. */
export interface ServiceEndpointReport {
  readonly endpoint: string;
  readonly portName: string;
  readonly pod: string | undefined;
  readonly node: string | undefined;
  readonly zone: string | undefined;
  readonly state: 'ready' | 'terminating' | 'not ready';
  /** Nodes and zones that it is kept for. */
  readonly hints: readonly string[];
  readonly unused: readonly { readonly frontend: string; readonly why: string }[];
}

/** One line of `GET /monitor` (newline-delimited JSON), and an item of `GET /events`. */
export type MonitorEvent = MonitorDrop | MonitorTrace;

/** A packet that was dropped. */
export interface MonitorDrop extends SeenTraffic {
  readonly type: 'drop';
  readonly reason: string;
  readonly hint: string;
  /** `kernel`: dropped by the kernel itself, before or after our programs had it. */
  readonly direction: 'ingress' | 'egress' | 'kernel';
  /** As tcpdump would say it. */
  readonly packet: string;
  readonly length: number;
}

/** A connection whose state has changed. */
export interface MonitorTrace extends SeenTraffic {
  readonly type: 'trace';
  readonly state: string;
  /** Of the packet that changed it. */
  readonly direction: 'ingress' | 'egress';
  /** See ConnectionReport. */
  readonly frontend: NamedEnd | undefined;
  readonly translatedSource: NamedEnd | undefined;
  readonly packets: BothWays;
  readonly bytes: BothWays;
}
