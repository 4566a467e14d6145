import { CniCode, CniError } from '@sluice/cni';
import type { Mac } from '@sluice/net';
import { addressesOf, addressRow, netnsRow } from './desired.ts';
import type { PodDevices } from './device.ts';
import { type Endpoint, type EndpointTable, endpointKey } from './endpoint.ts';
import type { EndpointMaps, PodPrograms } from './ports.ts';

export interface KernelSideOptions {
  readonly table: EndpointTable;
  readonly maps: EndpointMaps;
  readonly programs: PodPrograms;
  readonly devices: PodDevices;
  readonly nodeMac: Mac;
}

/** What the node's kernel has of an endpoint: device, program, rows of two maps. Written at once, for ADD does not wait. */
export class KernelSide {
  readonly #options: KernelSideOptions;

  constructor(options: KernelSideOptions) {
    this.#options = options;
  }

  requireDevice({ hostName, hostIfindex }: Endpoint): void {
    if (this.#options.devices.find(hostName)?.ifindex === hostIfindex) return;
    const message = `sluice-cni made ${hostName} in another network namespace than the agent's`;
    throw new CniError(CniCode.InvalidEnvironment, message, {
      details: "the runtime must run plugins in the node's own",
    });
  }

  /** Others find it. A pod's first interface speaks for its sockets. */
  writeMaps(endpoint: Endpoint): void {
    const { table, maps, nodeMac } = this.#options;
    for (const address of addressesOf(endpoint)) maps.endpoints.update(address, addressRow(endpoint, nodeMac));
    const first = table.list().find((row) => row.netnsCookie === endpoint.netnsCookie && row.id < endpoint.id);
    if (!first) maps.netnsEndpoints.update(endpoint.netnsCookie, netnsRow(endpoint));
  }

  /** It can send from now on. */
  connect(endpoint: Endpoint): void {
    this.#options.programs.attachPod(endpoint.hostName, endpoint.hostIfindex);
    this.#options.devices.bringUp(endpoint);
  }

  /** Nobody finds it any more. */
  withdraw(endpoint: Endpoint): void {
    const { maps } = this.#options;
    for (const address of addressesOf(endpoint)) {
      if (maps.endpoints.lookup(address)?.id === endpoint.id) maps.endpoints.delete(address);
    }
    if (maps.netnsEndpoints.lookup(endpoint.netnsCookie)?.endpointId === endpoint.id) {
      maps.netnsEndpoints.delete(endpoint.netnsCookie);
    }
  }

  /** The device takes its link with it: the other way round the kernel would wait twice. What is missing is success. */
  removeDevice(hostName: string): void {
    this.#options.devices.remove(hostName);
    this.#options.programs.forgetPod(hostName);
  }

  /** Throws where the kernel is not as ADD made it. */
  check(endpoint: Endpoint): void {
    const { maps, programs, devices } = this.#options;
    const { hostName, hostIfindex } = endpoint;
    if (devices.find(hostName)?.ifindex !== hostIfindex) {
      throw different(endpoint, `device ${hostName} is gone from the node`);
    }
    for (const address of addressesOf(endpoint)) {
      if (maps.endpoints.lookup(address)?.id !== endpoint.id) {
        throw different(endpoint, `map endpoints lacks ${address}`);
      }
    }
    const link = [...programs.listPodLinks()].find(({ device }) => device === hostName);
    if (link?.ifindex !== hostIfindex) throw different(endpoint, `no program on ${hostName}`);
  }
}

function different(endpoint: Endpoint, what: string): CniError {
  return new CniError(CniCode.Different, `${endpointKey(endpoint)}: ${what}`, {
    details: 'the agent repairs its side by itself',
  });
}
