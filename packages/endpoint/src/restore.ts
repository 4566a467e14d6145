import { basename } from 'node:path';
import { AddressInUseError, type NodeAddresses } from '@sluice/ipam';
import type { Address } from '@sluice/net';
import type { Link } from '@sluice/netlink';
import type { Logger } from '@sluice/runtime';
import type { PodDevices } from './device.ts';
import { type Endpoint, endpointKey, podName } from './endpoint.ts';
import type { EndpointMaps, PodPrograms } from './ports.ts';
import { salvageEndpoint } from './salvage.ts';
import type { DamagedFile, EndpointStore } from './store.ts';

/** What a start found on disk and in the kernel. */
export interface RestoreReport {
  readonly endpoints: readonly Endpoint[];
  /** Names of files that could not be read. */
  readonly damaged: readonly DamagedFile[];
  /** Endpoints whose device or address is gone, with the reason. */
  readonly dropped: readonly string[];
  /** Devices and links without an endpoint. */
  readonly leaked: readonly string[];
}

export interface RestoreOptions {
  readonly store: EndpointStore;
  readonly devices: PodDevices;
  readonly programs: PodPrograms;
  readonly maps: EndpointMaps;
  readonly addresses: NodeAddresses;
  readonly log: Logger;
}

/** Endpoints whose pair still stands go on, with this version's program; of the others what is left is removed. */
export function restoreEndpoints(options: RestoreOptions): RestoreReport {
  const { store, devices, programs, maps, addresses, log } = options;
  const { endpoints: stored, damaged } = store.load((endpoint) => contradiction(endpoint, maps));
  for (const file of damaged) log.error(file, 'an endpoint file is damaged and was moved aside');
  const endpoints: Endpoint[] = [];
  const dropped: string[] = [];
  for (const endpoint of stored) {
    const problem = whyGone(endpoint, { devices, addresses });
    if (problem === undefined) {
      endpoints.push(endpoint);
      connect(endpoint, options);
    } else {
      dropped.push(`${endpointKey(endpoint)}: ${problem}`);
      log.warn({ attachment: endpointKey(endpoint), pod: podName(endpoint), problem }, 'an endpoint is gone');
      store.remove(endpoint);
    }
  }
  const owned = new Set(endpoints.map((endpoint) => endpoint.hostName));
  for (const link of devices.list().filter(({ name }) => !owned.has(name))) {
    const salvaged = salvage(link, options);
    if (salvaged) endpoints.push(salvaged);
  }
  const leaked = removeLeaked(new Set(endpoints.map((endpoint) => endpoint.hostName)), { devices, programs, damaged });
  for (const name of leaked) log.warn({ device: name }, 'removed a device or link that belongs to no endpoint');
  return { endpoints, damaged, dropped, leaked };
}

/**
 * The kernel has the address at another device: believed, the file would take it from the pod that has it. Its own pod runs on with
 * what the kernel has of it.
 */
function contradiction({ hostIfindex, ipv4, ipv6 }: Endpoint, { endpoints }: EndpointMaps): string | undefined {
  const isOthers = (address: Address | undefined) => {
    const row = address === undefined ? undefined : endpoints.lookup(address);
    return row !== undefined && row.ifindex !== 0 && row.ifindex !== hostIfindex;
  };
  const wrong = [ipv4, ipv6].find(isOthers);
  return wrong && `it says ${wrong}, which is the address of another pod`;
}

function whyGone(
  endpoint: Endpoint,
  { devices, addresses }: Pick<RestoreOptions, 'devices' | 'addresses'>,
): string | undefined {
  const link = devices.find(endpoint.hostName);
  if (!link) return `device ${endpoint.hostName} is gone`;
  if (link.ifindex !== endpoint.hostIfindex) return `device ${endpoint.hostName} is another one now`;
  try {
    addresses.reserve(endpoint, endpointKey(endpoint));
    return undefined;
  } catch (error) {
    if (error instanceof AddressInUseError) return error.message;
    throw error;
  }
}

/** One pod's trouble is not the node's: the reconciler tries again, and the endpoint's row says so. */
function connect(endpoint: Endpoint, { programs, devices, log }: RestoreOptions): void {
  try {
    programs.attachPod(endpoint.hostName, endpoint.hostIfindex);
    devices.bringUp(endpoint);
  } catch (error) {
    log.error({ attachment: endpointKey(endpoint), pod: podName(endpoint), error }, 'cannot connect an endpoint yet');
  }
}

/** Only a device whose file is damaged or was removed by somebody has rows in the maps: DEL takes those first, ADD writes them last. */
function salvage(link: Link, options: RestoreOptions): Endpoint | undefined {
  const { maps, addresses, store, log } = options;
  const endpoint = salvageEndpoint(link, maps);
  if (!endpoint) return undefined;
  addresses.reserve(endpoint, endpointKey(endpoint));
  try {
    store.save(endpoint);
  } catch (error) {
    log.error({ device: endpoint.hostName, error }, 'cannot keep an endpoint: make room on the disk');
  }
  connect(endpoint, options);
  log.warn(
    { device: endpoint.hostName, ipv4: endpoint.ipv4, ipv6: endpoint.ipv6 },
    'salvaged an endpoint from the maps',
  );
  return endpoint;
}

function deviceOf(file: DamagedFile): string {
  return basename(file.path, '.json');
}

/** The device of a damaged file stays: its pod still runs, and DEL will remove it by name. */
function removeLeaked(
  owned: ReadonlySet<string>,
  { devices, programs, damaged }: Pick<RestoreOptions, 'devices' | 'programs'> & { damaged: readonly DamagedFile[] },
): string[] {
  const spared = new Set(damaged.map(deviceOf));
  const leaked = new Set<string>();
  for (const { device: name } of programs.listPodLinks()) {
    if (owned.has(name) || spared.has(name)) continue;
    programs.detachPod(name);
    leaked.add(name);
  }
  for (const { name } of devices.list()) {
    if (owned.has(name) || spared.has(name)) continue;
    devices.remove(name);
    leaked.add(name);
  }
  return [...leaked];
}
