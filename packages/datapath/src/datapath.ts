import { rmSync } from 'node:fs';
import type { MapCounts, TypedMap, XdpMode } from '@sluice/bpf';
import type { Logger } from '@sluice/runtime';
import { openAnyMap } from './any-map.ts';
import { type DryRun, openDryRun } from './dry-run.ts';
import { type DatapathEvent, type Events, openEvents } from './events.ts';
import type { Configuration } from './generated/configuration.ts';
import type { Expedite } from './grace-periods.ts';
import { type Inspection, openInspection } from './inspection.ts';
import { type KernelDrops, kernelDropsLink, openKernelDrops } from './kernel-drops.ts';
import { requireKernel } from './kernel-floor.ts';
import {
  type Attachment,
  cgroupTarget,
  HeldLinks,
  type LinkStatus,
  replaceProgram,
  type TcxHook,
  tcxTarget,
  xdpTarget,
} from './links.ts';
import { type DatapathMaps, type MapSizes, openMaps, openPinnedMaps, repinMaps, unpinnedMaps } from './maps.ts';
import { loadPrograms, type Programs, readObject, sockHooks } from './objects.ts';
import { findOtherPrograms, type HookedDevice, type OtherProgram } from './other-programs.ts';
import { pathsOn } from './paths.ts';
import { openPinnedPrograms } from './pinned-programs.ts';
import { openStaleSockets, type StaleSockets } from './stale-sockets.ts';
import { beginTakeover, endTakeover } from './takeover.ts';
import { type MapUsage, type ProgramRuns, type ProgramUsage, readProgramRuns, readProgramUsage } from './usage.ts';

export interface DatapathOptions {
  /** A mounted bpffs, or a directory of one: pins go into `sluice/` below it. */
  readonly bpffs: string;
  /** The node's cgroup (v2): sockets of its processes and of all groups below are translated. */
  readonly cgroupPath: string;
  /** Where sock.o and the others are: `bpf/build` of the installation. */
  readonly objectsDirectory: string;
  readonly configuration: Configuration;
  readonly mapSizes?: MapSizes;
  readonly log: Logger;
  /** Where the verifier's logs are kept. Default: a new temporary directory. */
  readonly logDirectory?: string;
  /** Around the attaching to a device, see `expeditedGracePeriods`. Default: the kernel takes its time. */
  readonly expedite?: Expedite;
}

/** The kernel side of one node. Disposing closes descriptors: pinned maps and links go on, and so does the traffic. */
export interface Datapath extends Disposable {
  readonly maps: DatapathMaps;
  /** The ten socket hooks, on the node's cgroup. */
  attachSock(): void;
  /** Sockets speak to services untranslated from now on; what is connected stays so. Missing links are success. */
  detachSock(): void;
  /** sluice_vxlan */
  attachOverlay(ifindex: number): void;
  /** sluice_net, the far end of sluice_host */
  attachHost(netIfindex: number): void;
  /** The host-side device of a pod; again, after a restart or with another program, without a gap. */
  attachPod(device: string, ifindex: number): void;
  /** A missing link is success. */
  detachPod(device: string): void;
  /** Lets go of the link of a device that is gone, without asking the kernel. A missing link is success. */
  forgetPod(device: string): void;
  /** Devices that have a pinned link, also those that are gone. */
  listPodLinks(): PodLink[];
  /** A device that faces the network, in both directions. */
  attachNetworkDevice(device: string, ifindex: number): void;
  /** A missing link is success. */
  detachNetworkDevice(device: string): void;
  /** Names of the devices that have a pinned link, also of those that are gone. */
  listNetworkDeviceLinks(): string[];
  /** A device's XDP, in this mode and no other. Throws the kernel's refusal (SystemError), see `attachXdp` of `@sluice/bpf`. */
  attachXdp(device: string, hook: { readonly ifindex: number; readonly mode: XdpMode }): void;
  /** A missing link is success. */
  detachXdp(device: string): void;
  /** Names of the devices whose XDP has a pinned link, also of those that are gone. */
  listXdpLinks(): string[];
  links(): LinkStatus[];
  /** Maps, links and programs whose pin somebody has removed. They work, but the next agent would not find them. */
  unpinned(): string[];
  repin(): void;
  /** Loads all programs with this configuration and puts them into the links that are there. */
  reconfigure(configuration: Configuration): void;
  /** Each event from now on. One reader at a time: two would each get a part of the ring. */
  events(onEvent: (event: DatapathEvent) => void): Events;
  /** From now on it is seen what the kernel drops on the devices in `kernel_devices`; see `openKernelDrops`. */
  openKernelDrops(): KernelDrops;
  mapUsage(): MapUsage[];
  programUsage(): ProgramUsage[];
  programRuns(): ProgramRuns[];
  /** For who only shows it; undefined: there is none of that name. */
  anyMap(name: string): TypedMap<unknown, unknown> | undefined;
  /** What this process has done to each map, by the map's name. */
  mapCounts(): ReadonlyMap<string, MapCounts>;
  /** Programs of others at these devices, which are in the calling thread's namespace, and at the node's cgroup. */
  otherPrograms(devices: readonly HookedDevice[]): OtherProgram[];
  inspection(): Inspection;
  /** Loaded when it is first needed. */
  staleSockets(): StaleSockets;
  /** The programs, to be asked; the datapath's own until it is configured anew or disposed of. */
  dryRun(): DryRun;
  /** Removes all links and maps, also those of earlier versions. Traffic of pods stops. */
  uninstall(): void;
}

export interface PodLink {
  readonly device: string;
  /** Undefined: nothing runs there, because the device is gone or somebody has detached the link. */
  readonly ifindex: number | undefined;
}

/** A link's name is the program's part of it, and the device's. */
const POD_PREFIX = 'pod_';
const FROM_NETWORK_PREFIX = 'from_network_';
const TO_NETWORK_PREFIX = 'to_network_';
const XDP_PREFIXES: Record<XdpMode, string> = { native: 'xdp_native_', generic: 'xdp_generic_' };
const xdpPrograms: Record<XdpMode, string> = { native: 'xdp_from_network', generic: 'xdp_generic_from_network' };

/**
 * Opens the pinned maps and programs (or makes and loads them) and puts the programs into the links that are pinned
 * already, each atomically. What is not attached yet is attached by the attach functions.
 */
export function openDatapath(options: DatapathOptions): Datapath {
  requireKernel();
  using stack = new DisposableStack();
  const paths = pathsOn(options.bpffs);
  const contract = readObject(options.objectsDirectory, 'contract');
  const { maps: pinned, successors } = openPinnedMaps(contract, paths, stack, options.mapSizes);
  const counts = new Map<string, MapCounts>();
  const maps = openMaps(pinned, counts);
  const loading = (configuration: Configuration) => ({
    directory: options.objectsDirectory,
    maps: pinned,
    configuration,
    logDirectory: options.logDirectory,
    log: options.log,
  });

  let programs = openPinnedPrograms(loading(options.configuration), paths);
  stack.defer(() => programs[Symbol.dispose]());
  const held = stack.use(new HeldLinks(paths, [kernelDropsLink]));
  const report = (name: string, attachment: Attachment) =>
    options.log.debug({ link: name }, `link ${name} ${attachment}`);
  const ensureSock = ([name, attachType]: (typeof sockHooks)[number]) =>
    report(name, held.ensure(cgroupTarget(name, programs.get(name), { path: options.cgroupPath, attachType })));
  // A former version had no such hook, and took no place that is left by it.
  if (held.get('sock_connect4') !== undefined && held.get('sock_release') === undefined) ensureSock(sockHooks[0]);
  successors.fill(options.log);
  if (successors.areOfConnections) beginTakeover(maps);
  try {
    successors.refill();
    replacePrograms(held, programs, options.log);
    successors.settle();
  } finally {
    endTakeover(maps);
  }
  programs.retireOthers();
  let kernelDrops: KernelDrops | undefined;
  let inspection: Inspection | undefined;
  stack.defer(() => inspection?.[Symbol.dispose]());
  const inspect = () => {
    if (inspection !== undefined) return inspection;
    inspection = openInspection(loadPrograms({ ...loading(options.configuration), names: ['inspect'] }), pinned, maps);
    return inspection;
  };
  let stale: StaleSockets | undefined;
  stack.defer(() => stale?.[Symbol.dispose]());
  let configuration = options.configuration;
  let dryRun: DryRun | undefined;
  stack.defer(() => dryRun?.[Symbol.dispose]());
  const expedite = options.expedite ?? ((run) => run());
  const ensureTcx = (name: string, program: string, ifindex: number, hook: TcxHook['hook'] = 'ingress') =>
    report(name, held.ensure(tcxTarget(name, programs.get(program), { ifindex, hook }, expedite)));
  const devicesOf = (prefix: string) =>
    held.names().flatMap((name) => (name.startsWith(prefix) ? [name.slice(prefix.length)] : []));
  const links = () => {
    const ids = new Map(programs.list().map((program) => [program.name, program.info().id]));
    return held.list((name) => ids.get(programOfLink(name) ?? ''));
  };

  const allPrograms = () => [...programs.list(), ...(kernelDrops?.programs() ?? [])];

  const owned = stack.move();
  return {
    maps,
    attachSock() {
      for (const hook of sockHooks) ensureSock(hook);
    },
    detachSock() {
      const [[release], ...others] = sockHooks;
      for (const [name] of others) held.remove(name);
      if (held.get(release) !== undefined) forgetConnectedSockets(maps);
      held.remove(release);
    },
    attachOverlay: (ifindex) => ensureTcx('overlay', 'overlay_from_overlay', ifindex),
    attachHost: (netIfindex) => ensureTcx('host', 'host_from_host', netIfindex),
    attachPod: (device, ifindex) => ensureTcx(`${POD_PREFIX}${device}`, 'pod_from_pod', ifindex),
    detachPod: (device) => held.remove(`${POD_PREFIX}${device}`),
    forgetPod: (device) => held.forget(`${POD_PREFIX}${device}`),
    listPodLinks: () =>
      links().flatMap(({ name, attached, ifindex }) =>
        name.startsWith(POD_PREFIX)
          ? [{ device: name.slice(POD_PREFIX.length), ifindex: attached ? ifindex : undefined }]
          : [],
      ),
    attachNetworkDevice(device, ifindex) {
      ensureTcx(`${FROM_NETWORK_PREFIX}${device}`, 'netdev_from_network', ifindex);
      ensureTcx(`${TO_NETWORK_PREFIX}${device}`, 'netdev_to_network', ifindex, 'egress');
    },
    detachNetworkDevice(device) {
      for (const prefix of [FROM_NETWORK_PREFIX, TO_NETWORK_PREFIX]) held.remove(`${prefix}${device}`);
    },
    listNetworkDeviceLinks: () => [...new Set([FROM_NETWORK_PREFIX, TO_NETWORK_PREFIX].flatMap(devicesOf))],
    attachXdp(device, { ifindex, mode }) {
      const name = `${XDP_PREFIXES[mode]}${device}`;
      const other = mode === 'native' ? 'generic' : 'native';
      held.remove(`${XDP_PREFIXES[other]}${device}`);
      report(name, held.ensure(xdpTarget(name, programs.get(xdpPrograms[mode]), { ifindex, mode })));
    },
    detachXdp(device) {
      for (const prefix of Object.values(XDP_PREFIXES)) held.remove(`${prefix}${device}`);
    },
    listXdpLinks: () => [...new Set(Object.values(XDP_PREFIXES).flatMap(devicesOf))],
    links,
    unpinned: () => [
      ...unpinnedMaps(pinned, paths),
      ...held.unpinned(),
      ...programs.unpinned(),
      ...(kernelDrops?.isPinned() === false ? [kernelDropsLink] : []),
    ],
    repin() {
      repinMaps(pinned, paths);
      held.repin();
      programs.repin();
      kernelDrops?.ensurePinned();
    },
    reconfigure(changed) {
      using stack = new DisposableStack();
      const next = stack.use(openPinnedPrograms(loading(changed), paths));
      replacePrograms(held, next, options.log);
      next.retireOthers();
      programs[Symbol.dispose]();
      programs = next;
      stack.move();
      configuration = changed;
      dryRun?.[Symbol.dispose]();
      dryRun = undefined;
    },
    events(onEvent) {
      const ring = pinned.get('events');
      if (ring === undefined) throw new TypeError('map events is not open');
      return openEvents({ ring, maps, onEvent, log: options.log });
    },
    openKernelDrops() {
      kernelDrops = openKernelDrops({ ...options, logDirectory: options.logDirectory, paths, pinned, maps });
      return kernelDrops;
    },
    mapUsage: () => inspect().mapUsage(),
    programUsage: () => readProgramUsage(allPrograms(), links()),
    programRuns: () => readProgramRuns(allPrograms()),
    mapCounts: () => counts,
    anyMap: (name) => openAnyMap(name, pinned),
    otherPrograms(devices) {
      const own = new Set(programs.list().map((program) => program.info().id));
      return findOtherPrograms({ devices, cgroupPath: options.cgroupPath, isOurs: (id) => own.has(id) });
    },
    inspection: inspect,
    staleSockets() {
      stale ??= openStaleSockets(loadPrograms({ ...loading(options.configuration), names: ['stale'] }), maps);
      return stale;
    },
    dryRun() {
      dryRun ??= openDryRun({ ...options, logDirectory: options.logDirectory, maps: pinned, configuration });
      return dryRun;
    },
    uninstall() {
      for (const name of [...held.names(), kernelDropsLink]) held.remove(name);
      rmSync(paths.root, { recursive: true, force: true });
    },
    [Symbol.dispose]: () => owned.dispose(),
  };
}

/** A link that is found belongs to one of our programs by its name; a dead one, whose device is gone, is removed. */
function replacePrograms(held: HeldLinks, programs: Programs, log: Logger): void {
  for (const name of held.names()) {
    const program = programOfLink(name);
    const link = held.get(name);
    if (link !== undefined && program !== undefined && replaceProgram(link, programs.get(program))) continue;
    log.info(
      { link: name },
      `link ${name} removed: ${program === undefined ? 'no program of ours' : 'its device is gone'}`,
    );
    held.forget(name);
  }
}

function programOfLink(name: string): string | undefined {
  if (name === 'overlay') return 'overlay_from_overlay';
  if (name === 'host') return 'host_from_host';
  if (name.startsWith(POD_PREFIX)) return 'pod_from_pod';
  if (name.startsWith(FROM_NETWORK_PREFIX)) return 'netdev_from_network';
  if (name.startsWith(TO_NETWORK_PREFIX)) return 'netdev_to_network';
  for (const mode of ['native', 'generic'] as const) if (name.startsWith(XDP_PREFIXES[mode])) return xdpPrograms[mode];
  return sockHooks.find(([program]) => program === name)?.[0];
}

/** From now on nobody tells when they are closed. */
function forgetConnectedSockets({ connectedSockets }: Pick<DatapathMaps, 'connectedSockets'>): void {
  for (const [index, row] of connectedSockets.entries())
    if (row.round !== 0) connectedSockets.update(index, { ...row, round: 0, backendId: 0 });
}
