/**
 * Addresses that Services name in spec.externalIPs. Whoever may make a Service may name any, so that another's traffic
 * would come to him (CVE-2020-8554): one that somebody owns is served only where the operator of the cluster allows it.
 * A balancer's address comes from a controller; but that of the API server would lock out all who must hear that it is
 * wrong, ourselves among them.
 */
import type { EndpointSliceObject, NodeObject, ServiceObject } from '@sluice/kube';
import {
  type Address,
  familyOf,
  formatPrefix,
  type Prefix,
  parsePrefix,
  prefixAddressAt,
  prefixContains,
  prefixOf,
  prefixSize,
  tryParseAddress,
} from '@sluice/net';
import { type Change, sameValue, type Table } from '@sluice/state';

export interface ExternalIpRules {
  /** `externalIPs.allowed`: served whoever owns them. */
  readonly allowed: readonly Prefix[];
  /** By which we reach the API server ourselves. */
  readonly apiServers: readonly Address[];
}

export function externalIpRules(given: {
  readonly allowed: readonly Prefix[];
  /** `bpf.disableExternalIPMitigation` */
  readonly isMitigated: boolean;
  /** URLs; those of names are nobody's addresses. */
  readonly servers: readonly string[];
}): ExternalIpRules {
  const { allowed, isMitigated, servers } = given;
  const hosts = servers.map((server) => new URL(server).hostname.replace(/^\[|\]$/g, ''));
  return {
    allowed: isMitigated ? allowed : everything,
    apiServers: hosts.flatMap((host) => tryParseAddress(host) ?? []),
  };
}

const everything = [parsePrefix('0.0.0.0/0'), parsePrefix('::/0')];

type Owner = Pick<NodeObject, 'name' | 'addresses' | 'podCidrs'>;

export interface ExternalIpSources {
  readonly rules: ExternalIpRules;
  readonly services: Table<ServiceObject>;
  readonly nodes: Pick<Table<Owner>, 'list' | 'subscribe'> | undefined;
  /** Of this node's devices: their addresses, with the length of their networks. Without: nobody knows of which. */
  readonly networks?: Pick<Table<NetworkAddress>, 'list' | 'subscribe'>;
  /** Where the API's own endpoints are, indexed by `service`; without: they are not looked for. */
  readonly endpointSlices?: Pick<Table<EndpointSliceObject>, 'by' | 'subscribe'>;
}

export interface NetworkAddress {
  readonly address: Address;
  readonly length: number;
}

const apiService = 'default/kubernetes';

/** Who owns the external addresses that Services name, as objects come and go. */
export class ExternalIpGuard implements Disposable {
  readonly #sources: ExternalIpSources;
  /** Services by the addresses that they name. Few do, so owners are sought for these alone. */
  readonly #claims = new Map<Address, Set<string>>();
  /** Who owns an address; undefined: nobody. Forgotten when it may be otherwise. */
  readonly #owners = new Map<Address, OwnedBy | undefined>();
  readonly #listeners = new Set<(services: ReadonlySet<string>) => void>();
  readonly #subscriptions = new DisposableStack();
  #revision = 0;

  constructor(sources: ExternalIpSources) {
    this.#sources = sources;
    for (const service of sources.services.list()) this.#claim(service);
    this.#subscriptions.use(sources.services.subscribe((changes) => this.#onServices(changes)));
    const onNodes = sources.nodes?.subscribe((changes) => {
      if (changes.some(({ before, after }) => !sameValue(placesOf(before), placesOf(after)))) this.#forgetAll();
    });
    const onSlices = sources.endpointSlices?.subscribe((changes) => {
      if (changes.some(({ before, after }) => isOfApi(before) || isOfApi(after))) this.#forgetAll();
    });
    let networks = networksText(sources.networks);
    const onNetworks = sources.networks?.subscribe(() => {
      const before = networks;
      networks = networksText(sources.networks);
      if (networks !== before) this.#forgetAll();
    });
    for (const subscription of [onNodes, onSlices, onNetworks]) if (subscription) this.#subscriptions.use(subscription);
  }

  /** Why the address is not served for this service; undefined: it is. */
  readonly refusal = (
    address: Address,
    { namespace, name }: Pick<ServiceObject, 'namespace' | 'name'>,
  ): string | undefined => {
    if (this.#sources.rules.allowed.some((prefix) => prefixContains(prefix, address))) return undefined;
    const owner = this.#ownerOf(address);
    if (owner === undefined || owner.services?.every((service) => service === `${namespace}/${name}`)) return undefined;
    return refusalText(address, owner);
  };

  /** The same of an address in the service's status. A node's is served: some balancers give those. */
  readonly balancerRefusal = (address: Address): string | undefined => {
    const { rules, nodes } = this.#sources;
    const isAllowed = rules.allowed.some((prefix) => prefixContains(prefix, address));
    const isServed = isAllowed || !isApiServer(address, this.#sources) || ownerAmongNodes(address, nodes?.list() ?? []);
    return isServed ? undefined : refusalText(address, apiServer);
  };

  /** Counts up with each change of what `refusal` may say. */
  get revision(): number {
    return this.#revision;
  }

  /** Told of services whose addresses may have got another owner. */
  subscribe(listener: (services: ReadonlySet<string>) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  [Symbol.dispose](): void {
    this.#subscriptions.dispose();
    this.#listeners.clear();
  }

  #onServices(changes: readonly Change<ServiceObject>[]): void {
    const touched = new Set<string>();
    for (const { before, after } of changes) {
      if (before) this.#unclaim(before);
      if (after) this.#claim(after);
      for (const address of [before, after].flatMap((service) => (service ? ownedBy(service) : []))) {
        this.#owners.delete(address);
        for (const service of this.#claims.get(address) ?? []) touched.add(service);
      }
    }
    this.#tell(touched);
  }

  #forgetAll(): void {
    this.#owners.clear();
    const withBalancer = this.#sources.services
      .list()
      .filter(({ loadBalancerIngress }) => loadBalancerIngress.length > 0);
    const claiming = [...this.#claims.values()].flatMap((services) => [...services]);
    this.#tell(new Set([...claiming, ...withBalancer.map(nameOf)]));
  }

  #tell(services: ReadonlySet<string>): void {
    if (services.size === 0) return;
    this.#revision += 1;
    for (const listener of this.#listeners) listener(services);
  }

  #claim(service: ServiceObject): void {
    for (const address of service.externalIps) {
      const services = this.#claims.get(address) ?? new Set();
      this.#claims.set(address, services.add(nameOf(service)));
    }
  }

  #unclaim(service: ServiceObject): void {
    for (const address of service.externalIps) {
      const services = this.#claims.get(address);
      services?.delete(nameOf(service));
      if (services?.size !== 0) continue;
      this.#claims.delete(address);
      this.#owners.delete(address);
    }
  }

  #ownerOf(address: Address): OwnedBy | undefined {
    if (!this.#owners.has(address)) this.#owners.set(address, findOwner(address, this.#sources));
    return this.#owners.get(address);
  }
}

interface OwnedBy {
  readonly text: string;
  /** Set where only Services own it: for them it is no stranger's. */
  readonly services?: readonly string[];
}

const apiServer: OwnedBy = { text: 'the API server' };

function refusalText(address: Address, { text }: OwnedBy): string {
  return `${address} belongs to ${text}, and externalIPs.allowed does not name it`;
}

/** By which we reach it, or where its own Service says that it is. */
function isApiServer(
  address: Address,
  { rules, endpointSlices }: Pick<ExternalIpSources, 'rules' | 'endpointSlices'>,
): boolean {
  const ofApi = (endpointSlices?.by('service', apiService) ?? []).flatMap(({ endpoints }) => endpoints);
  return rules.apiServers.includes(address) || ofApi.some(({ addresses }) => addresses.includes(address));
}

function findOwner(address: Address, sources: ExternalIpSources): OwnedBy | undefined {
  const { services, nodes, networks } = sources;
  const owner = ownerAmongNodes(address, nodes?.list() ?? []);
  if (owner !== undefined) return { text: owner };
  if (forMany.some((prefix) => prefixContains(prefix, address))) return { text: 'everybody who listens there' };
  const network = networks?.list().find((own) => isEverybody(address, own));
  if (network !== undefined)
    return { text: `everybody in ${formatPrefix(prefixOf(network.address, network.length))}, a network of this node` };
  if (isApiServer(address, sources)) return apiServer;
  const owning = services.list().filter((service) => ownedBy(service).includes(address));
  if (owning.length === 0) return undefined;
  const names = owning.map(nameOf).sort();
  return { text: `Service ${names.join(', ')}`, services: names };
}

/** Multicast, and the broadcast by which hosts ask for DHCP: the API refuses only those of the link among them. */
const forMany = ['224.0.0.0/4', '255.255.255.255/32', 'ff00::/8'].map((text) => parsePrefix(text));

/** The broadcast of an IPv4 network, and its oldest form, the network's own address (RFC 1122, 3.3.6). RFC 3021 has none. */
function isEverybody(address: Address, { address: own, length }: NetworkAddress): boolean {
  if (familyOf(own) !== 4 || length > 30 || !prefixContains(prefixOf(own, length), address)) return false;
  const network = prefixOf(own, length);
  return address === network.address || address === prefixAddressAt(network, prefixSize(network) - 1n);
}

function networksText(networks: ExternalIpSources['networks']): string {
  return (networks?.list() ?? [])
    .map(({ address, length }) => `${address}/${length}`)
    .sort()
    .join(' ');
}

function ownerAmongNodes(address: Address, nodes: readonly Owner[]): string | undefined {
  for (const { name, addresses, podCidrs } of nodes) {
    if (addresses.some((own) => own.address === address)) return `Node ${name}`;
    const cidr = podCidrs.find((prefix) => prefixContains(prefix, address));
    if (cidr !== undefined) return `the pods of Node ${name} (${formatPrefix(cidr)})`;
  }
  return undefined;
}

/** What Kubernetes or a controller has given to a service, not what it has named itself. */
function ownedBy({ clusterIps, loadBalancerIngress }: ServiceObject): Address[] {
  return [...clusterIps, ...loadBalancerIngress.map(({ address }) => address)];
}

function placesOf(node: Owner | undefined) {
  return node && { addresses: node.addresses, podCidrs: node.podCidrs };
}

function isOfApi(slice: EndpointSliceObject | undefined): boolean {
  return slice !== undefined && `${slice.namespace}/${slice.serviceName}` === apiService;
}

function nameOf({ namespace, name }: Pick<ServiceObject, 'namespace' | 'name'>): string {
  return `${namespace}/${name}`;
}
