import { type EndpointSliceObject, objectKey, type ServiceObject } from '@sluice/kube';
import { type Address, familyOf, tryParseAddress } from '@sluice/net';
import type { Table } from '@sluice/state';
import { QueryError } from '../query.ts';
import type { Question } from './question.ts';

/** Where a client would connect to, and how it came to know. */
export interface Destination {
  readonly address: Address;
  readonly port: number;
  /** How the name became the address; undefined: it was one. */
  readonly resolved: string | undefined;
}

export interface NameSources {
  readonly services: Table<ServiceObject>;
  readonly endpointSlices: Table<EndpointSliceObject>;
}

/** Who asks: names are searched in its namespace first, and it has addresses of these families. */
export interface Asker {
  readonly namespace: string;
  readonly families: readonly (4 | 6)[];
}

/** As the cluster's DNS would answer, from what this node knows of Services. Throws QueryError for what it does not. */
export function findDestination(question: Question, asker: Asker, sources: NameSources): Destination {
  const literal = tryParseAddress(question.host);
  if (literal !== undefined) return literalDestination(literal, question);
  const service = findService(question.host, asker, sources.services);
  if (service === undefined) {
    throw new QueryError(
      `${question.host} is no address and no Service that this node knows ("sluice service list"); other names are looked up by the client itself: give the address`,
    );
  }
  if (service.type === 'ExternalName') {
    const name = service.externalName ?? 'another name';
    throw new QueryError(`service ${objectKey(service)} is an ExternalName: DNS answers with ${name}, give that`);
  }
  return service.headless
    ? headlessDestination(service, question, asker, sources.endpointSlices)
    : serviceDestination(service, question, asker);
}

function literalDestination(address: Address, question: Question): Destination {
  const { family, host } = question;
  if (family !== undefined && family !== familyOf(address)) throw new QueryError(`${host} is no IPv${family} address`);
  return { address, port: numericPort(question), resolved: undefined };
}

/** `shop/web`, `web.shop`, `web.shop.svc`, `web.shop.svc.cluster.local`, or `web` in the asker's own namespace. */
function findService(host: string, asker: Asker, services: Table<ServiceObject>): ServiceObject | undefined {
  if (host.includes('/')) return services.get(host);
  const [name, namespace = asker.namespace, kind] = host.replace(/\.$/, '').split('.');
  return kind === undefined || kind === 'svc' ? services.get(`${namespace}/${name}`) : undefined;
}

function serviceDestination(service: ServiceObject, question: Question, asker: Asker): Destination {
  const address = choose(service.clusterIps, question, asker, `service ${objectKey(service)}`);
  const port = servicePort(service, question);
  return { address, port, resolved: `service ${objectKey(service)} has the address ${address}` };
}

/** A port that the service does not have is a question as well: clients ask it, and are refused. */
function servicePort({ ports, ...service }: ServiceObject, question: Question): number {
  if (/^\d+$/.test(question.port)) return numericPort(question);
  const named = ports.find(({ name, protocol }) => name === question.port && protocol === question.protocol);
  if (named) return named.port;
  const known = ports.map(({ name, port, protocol }) => `${name || port} ${port}/${protocol}`).join(', ');
  throw new QueryError(
    `service ${objectKey(service)} has no ${question.protocol} port ${question.port}; it has ${known}`,
  );
}

/** DNS answers with the backends' own addresses, and the port is theirs. */
function headlessDestination(
  service: ServiceObject,
  question: Question,
  asker: Asker,
  slices: Table<EndpointSliceObject>,
): Destination {
  const key = objectKey(service);
  const own = slices
    .list()
    .filter((slice) => slice.namespace === service.namespace && slice.serviceName === service.name);
  const addresses = own.flatMap(({ endpoints }) =>
    endpoints
      .filter(({ ready }) => ready || service.publishNotReadyAddresses)
      .flatMap((endpoint) => endpoint.addresses),
  );
  if (addresses.length === 0) {
    throw new QueryError(`service ${key} is headless and has no ready endpoint: its name has no address`);
  }
  const address = choose(addresses, question, asker, `service ${key}`);
  const ports = own.flatMap((slice) => slice.ports);
  const named = ports.find(({ name }) => name === question.port);
  const resolved = `service ${key} is headless: its name has ${addresses.length} addresses, one of them ${address}`;
  if (named !== undefined) return { address, port: named.port, resolved };
  const port = numericPort(question);
  const known = new Set(ports.map((each) => `${each.port}/${each.protocol}`));
  const isOther = known.size > 0 && !known.has(`${port}/${question.protocol}`);
  const note = isOther
    ? `; no port is translated: ${port} is asked as it is, and they have ${[...known].join(', ')}`
    : '';
  return { address, port, resolved: `${resolved}${note}` };
}

function choose(addresses: readonly Address[], question: Question, asker: Asker, whose: string): Address {
  const wanted = question.family === undefined ? ([4, 6] as const) : [question.family];
  const reachable = wanted.filter((family) => asker.families.includes(family));
  const [found] = [...reachable, ...wanted].flatMap(
    (family) => addresses.find((address) => familyOf(address) === family) ?? [],
  );
  if (found === undefined)
    throw new QueryError(`${whose} has no IPv${question.family ?? wanted.join(' and IPv')} address`);
  return found;
}

function numericPort({ port }: Question): number {
  const number = Number(port);
  if (Number.isInteger(number) && number >= 1 && number <= 65_535) return number;
  throw new QueryError(`port ${port}: a number from 1 to 65535, or the name of a port of the Service`);
}
