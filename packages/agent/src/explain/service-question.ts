import { nearest } from '@sluice/config';
import { objectKey, type ServiceObject } from '@sluice/kube';
import { knownParameters, QueryError } from '../query.ts';
import type { ExplainSources } from './sources.ts';

/** What clients of a service get. */
export interface ServiceQuestion {
  readonly service: ServiceObject;
  /** Name or number of one of its ports; undefined: all of them. */
  readonly port: string | undefined;
  /** Undefined: each kind of client. */
  readonly from: string | undefined;
}

/** Throws QueryError for what cannot be meant. */
export function serviceQuestion(query: URLSearchParams, sources: ExplainSources): ServiceQuestion {
  const given = knownParameters(query, ['service', 'port', 'from']);
  const service = findService(given.get('service') ?? '', sources);
  const port = given.get('port') ?? undefined;
  if (port !== undefined && !service.ports.some((each) => isPort(each, port))) throw noPort(service, port);
  return { service, port, from: given.get('from') ?? undefined };
}

/** By its name, its number, or the number of its NodePort. */
export function isPort({ name, port, nodePort }: ServiceObject['ports'][number], asked: string): boolean {
  return asked === name || asked === String(port) || asked === String(nodePort);
}

function noPort(service: ServiceObject, port: string): QueryError {
  const known = service.ports.map((each) => `${each.name || each.port} ${each.port}/${each.protocol}`).join(', ');
  return new QueryError(`service ${objectKey(service)} has no port ${port}; it has ${known || 'none'}`);
}

/** A name alone is enough where only one namespace has it. */
function findService(name: string, { services }: ExplainSources): ServiceObject {
  const keys = [...services.keys()];
  const found = name.includes('/')
    ? keys.filter((key) => key === name)
    : keys.filter((key) => key.endsWith(`/${name}`));
  const [first] = found;
  const service = first === undefined ? undefined : services.get(first);
  if (found.length > 1) throw new QueryError(`service ${name}: may be ${found.slice(0, SHOWN).join(', ')}; say which`);
  if (service !== undefined) return service;
  const near = name.includes('/') ? nearest(name, keys) : nearestName(name, keys);
  const next = near === undefined ? '"sluice service list" shows those that this node knows' : `did you mean ${near}?`;
  throw new QueryError(name === '' ? 'service is missing: namespace/name' : `no service ${name}; ${next}`);
}

const SHOWN = 5;

function nearestName(name: string, keys: readonly string[]): string | undefined {
  const near = nearest(
    name,
    keys.map((key) => key.slice(key.indexOf('/') + 1)),
  );
  return near === undefined ? undefined : keys.find((key) => key.endsWith(`/${near}`));
}
