import { type Protocol, protocols } from '@sluice/model';
import { type Address, familyOf } from '@sluice/net';
import { distinct, type Field, present } from '../field.ts';
import { type NamespacedRow, openNamespacedObject } from './metadata.ts';

export interface EndpointPort {
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
  readonly appProtocol: string | undefined;
}

/** Where a service's traffic may go; becomes a backend for each port of its slice. */
export interface SliceEndpoint {
  readonly addresses: readonly Address[];
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly nodeName: string | undefined;
  readonly zone: string | undefined;
  readonly hostname: string | undefined;
  readonly zoneHints: readonly string[];
  readonly nodeHints: readonly string[];
  /** The pod behind it, where there is one. */
  readonly pod: { readonly namespace: string; readonly name: string } | undefined;
}

export interface EndpointSliceObject extends NamespacedRow {
  /** Undefined: the slice belongs to no service and is not used. */
  readonly serviceName: string | undefined;
  /** Undefined: a type that we do not know, the slice has no endpoints then. */
  readonly addressType: 'IPv4' | 'IPv6' | undefined;
  readonly ports: readonly EndpointPort[];
  readonly endpoints: readonly SliceEndpoint[];
}

const serviceNameLabel = 'kubernetes.io/service-name';
const addressTypes = ['IPv4', 'IPv6'] as const;

// What the API server itself refuses in a slice: unspecified, loopback, link-local, multicast and broadcast addresses.
// Text in its canonical form; prefixes as numbers are forty times slower, and there are 250,000 endpoints.
const forbidden =
  /^(0\.0\.0\.0$|127\.|169\.254\.|2(2[4-9]|3\d)\.|255\.255\.255\.255$|::1?$|fe[89ab][0-9a-f]:|ff[0-9a-f]{2}:)/;

export function parseEndpointSlice(object: unknown): EndpointSliceObject {
  const { root, name, namespace, uid } = openNamespacedObject(object, 'EndpointSlice');
  const addressType = root.get('addressType').oneOf(addressTypes);
  const family = addressType === 'IPv6' ? 6 : 4;
  if (!root.get('addressType').present) root.get('addressType').problem('missing');
  return {
    namespace,
    name,
    uid,
    serviceName: root.get('metadata').get('labels').get(serviceNameLabel).text(),
    addressType,
    ports: distinct(root.get('ports').items(), endpointPort, ({ name, protocol }) => `port ${name}/${protocol}`),
    endpoints: addressType === undefined ? [] : endpoints(root.get('endpoints').items(), family),
    problems: root.problems,
  };
}

function endpointPort(field: Field): EndpointPort | undefined {
  const port = field.get('port').port();
  const protocol = field.get('protocol').present ? field.get('protocol').oneOf(protocols) : 'TCP';
  if (!field.get('port').present) field.problem('a port without a number');
  if (port === undefined || protocol === undefined) return undefined;
  return { name: field.get('name').text() ?? '', protocol, port, appProtocol: field.get('appProtocol').text() };
}

/** What the endpoints of one slice are read with. */
interface Reading {
  readonly family: 4 | 6;
  readonly seen: Set<Address>;
  /** The same text, once in memory: of 250,000 endpoints most have the node, zone and namespace of another. */
  readonly once: (text: string | undefined) => string | undefined;
}

function endpoints(fields: readonly Field[], family: 4 | 6): readonly SliceEndpoint[] {
  const texts = new Map<string, string>();
  const once = (text: string | undefined): string | undefined => {
    if (text === undefined) return undefined;
    const other = texts.get(text);
    if (other === undefined) texts.set(text, text);
    return other ?? text;
  };
  const reading: Reading = { family, seen: new Set(), once };
  return present(fields.map((field) => endpoint(field, reading)));
}

function endpoint(field: Field, reading: Reading): SliceEndpoint | undefined {
  const { family, seen, once } = reading;
  const addresses = present(
    field
      .get('addresses')
      .items()
      .map((item) => endpointAddress(item, family, seen)),
  );
  if (addresses.length === 0) return undefined;
  const conditions = field.get('conditions');
  // Unknown readiness counts as ready, unknown serving as readiness says: rules of discovery.k8s.io/v1.
  const ready = conditions.booleanOf('ready') ?? true;
  const hints = field.get('hints');
  return {
    addresses,
    ready,
    serving: conditions.booleanOf('serving') ?? ready,
    terminating: conditions.booleanOf('terminating') ?? false,
    nodeName: once(field.textOf('nodeName')),
    zone: once(field.textOf('zone')),
    hostname: field.textOf('hostname'),
    zoneHints: hints.present ? hintNames(hints.get('forZones')) : none,
    nodeHints: hints.present ? hintNames(hints.get('forNodes')) : none,
    pod: podReference(field.get('targetRef'), reading),
  };
}

const none: readonly string[] = Object.freeze([]);

function endpointAddress(field: Field, family: 4 | 6, seen: Set<Address>): Address | undefined {
  const address = field.address();
  if (address === undefined) return undefined;
  if (familyOf(address) !== family) field.problem(`${address} is not an IPv${family} address`);
  else if (forbidden.test(address)) {
    field.problem(`${address} cannot be an endpoint (unspecified, loopback, link-local, multicast or broadcast)`);
  } else if (seen.has(address)) field.problem(`${address} is there twice`);
  else {
    seen.add(address);
    return address;
  }
  return undefined;
}

function hintNames(field: Field): readonly string[] {
  return present(field.items().map((item) => item.get('name').text()));
}

function podReference(field: Field, { once }: Reading): SliceEndpoint['pod'] {
  if (field.get('kind').value !== 'Pod') return undefined;
  const [namespace, name] = [once(field.textOf('namespace')), field.textOf('name')];
  return namespace && name ? { namespace, name } : undefined;
}
