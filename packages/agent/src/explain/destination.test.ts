import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseEndpointSlice, parseService, type ServiceObject } from '@sluice/kube';
import { Table } from '@sluice/state';
import { QueryError } from '../query.ts';
import { type Asker, findDestination } from './destination.ts';
import { explainQuestion } from './question.ts';

const both: Asker = { namespace: 'shop', families: [4, 6] };

function service(name: string, spec: object): ServiceObject {
  const metadata = { name, namespace: 'shop', uid: name };
  return parseService({ kind: 'Service', metadata, spec });
}

const ports = [
  { name: 'http', port: 80, protocol: 'TCP' },
  { name: 'dns', port: 53, protocol: 'UDP' },
];
const services = tableOf([
  service('web', { clusterIP: '10.96.4.7', clusterIPs: ['10.96.4.7', 'fd00:10:96::7'], ports }),
  service('only6', { clusterIP: 'fd00:10:96::8', clusterIPs: ['fd00:10:96::8'], ports }),
  service('db', { clusterIP: 'None', ports: [{ name: 'sql', port: 5432, protocol: 'TCP' }] }),
  service('empty', { clusterIP: 'None', ports: [{ name: 'sql', port: 5432, protocol: 'TCP' }] }),
  service('elsewhere', { type: 'ExternalName', externalName: 'example.org' }),
]);
const endpointSlices = tableOf([
  parseEndpointSlice({
    kind: 'EndpointSlice',
    metadata: { name: 'db-1', namespace: 'shop', uid: 'db-1', labels: { 'kubernetes.io/service-name': 'db' } },
    addressType: 'IPv4',
    ports: [{ name: 'sql', port: 15_432, protocol: 'TCP' }],
    endpoints: [
      { addresses: ['10.244.1.3'], conditions: { ready: false } },
      { addresses: ['10.244.1.4'], conditions: { ready: true } },
    ],
  }),
]);

function tableOf<Row extends { readonly namespace: string; readonly name: string }>(rows: readonly Row[]): Table<Row> {
  const table = new Table<Row>({ name: 'objects', key: (row) => `${row.namespace}/${row.name}`, columns: {} });
  for (const row of rows) table.upsert(row);
  return table;
}

function destination(to: string, options: { asker?: Asker; protocol?: string; family?: string } = {}) {
  const { asker = both, protocol = 'tcp', family } = options;
  const query = new URLSearchParams({ from: 'shop/client', to, protocol, ...(family && { family }) });
  return findDestination(explainQuestion(query), asker, { services, endpointSlices });
}

function find(to: string, options?: Parameters<typeof destination>[1]) {
  const { address, port } = destination(to, options);
  return `${address} ${port}`;
}

test('addresses of both families are taken as they are', () => {
  assert.equal(find('10.0.0.1:80'), '10.0.0.1 80');
  assert.equal(find('[2001:db8::1]:443', { family: '6' }), '2001:db8::1 443');
  assert.throws(() => find('10.0.0.1:80', { family: '6' }), /^QueryError: 10\.0\.0\.1 is no IPv6 address$/);
});

test('a service is found by each name that a pod may call it', () => {
  for (const name of [
    'web',
    'web.shop',
    'web.shop.svc',
    'web.shop.svc.cluster.local',
    'web.shop.svc.cluster.local.',
    'shop/web',
  ]) {
    assert.equal(find(`${name}:80`), '10.96.4.7 80');
  }
});

test('a short name is searched in the namespace of who asks', () => {
  assert.throws(() => find('web:80', { asker: { ...both, namespace: 'other' } }), /web is no address and no Service/);
});

test('the family is what is asked for, else one that both sides have', () => {
  assert.equal(find('web:80', { family: '6' }), 'fd00:10:96::7 80');
  assert.equal(find('web:80', { asker: { namespace: 'shop', families: [6] } }), 'fd00:10:96::7 80');
  assert.equal(find('only6:80', { asker: { namespace: 'shop', families: [4] } }), 'fd00:10:96::8 80');
  assert.throws(() => find('only6:80', { family: '4' }), /service shop\/only6 has no IPv4 address/);
});

test('a port may be named, and belongs to a protocol', () => {
  assert.equal(find('web:http'), '10.96.4.7 80');
  assert.equal(find('web:dns', { protocol: 'udp' }), '10.96.4.7 53');
  assert.throws(() => find('web:dns'), /no TCP port dns; it has http 80\/TCP, dns 53\/UDP/);
});

test('a headless service leads to an endpoint that is ready, and to its own port', () => {
  assert.equal(find('db:sql'), '10.244.1.4 15432');
  assert.equal(find('db:5432'), '10.244.1.4 5432');
  assert.match(
    destination('db:5432').resolved ?? '',
    /one of them 10\.244\.1\.4; no port is translated: 5432 is asked as it is, and they have 15432\/TCP$/,
  );
  for (const to of ['db:sql', 'db:15432']) assert.match(destination(to).resolved ?? '', /one of them 10\.244\.1\.4$/);
  assert.throws(() => find('empty:5432'), /headless and has no ready endpoint/);
});

test('what cannot be known here says what to give instead', () => {
  assert.throws(() => find('elsewhere:80'), /ExternalName: DNS answers with example\.org, give that/);
  assert.throws(() => find('example.org:80'), /give the address/);
  assert.throws(() => find('2001:db8::1:80'), QueryError);
  assert.throws(() => find('10.0.0.1'), /HOST:PORT/);
  assert.throws(() => find('10.0.0.1:70000'), /a number from 1 to 65535/);
});

test('a question that nobody can mean is refused', () => {
  const ask = (query: Record<string, string>) => () => explainQuestion(new URLSearchParams(query));
  assert.throws(ask({ to: '10.0.0.1:80' }), /from is missing/);
  assert.throws(ask({ from: 'a', to: '10.0.0.1:80', protocol: 'sctp' }), /protocol sctp: tcp or udp/);
  assert.throws(ask({ from: 'a', to: '10.0.0.1:80', 'source-port': '0' }), /source-port 0/);
  assert.throws(ask({ from: 'a', to: '10.0.0.1:80', family: '5' }), /family 5: 4 or 6/);
  assert.throws(ask({ from: 'a', to: '10.0.0.1:80', verbose: 'true' }), /no parameter verbose/);
});
