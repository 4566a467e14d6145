import type { Field } from '@sluice/kube';
import { formatAge } from '../output.ts';

/** What a table shows besides with -o wide. */
export interface WideColumn {
  readonly name: string;
  readonly cell: (row: Field) => string;
}

/** By the name of the table; of its rows as they come, so that one of another version has an empty cell. */
export const wideColumns: Readonly<Record<string, readonly WideColumn[]>> = {
  frontends: [
    { name: 'Internal', cell: (row) => plain(row.get('internalTrafficPolicy')) },
    { name: 'External', cell: (row) => plain(row.get('externalTrafficPolicy')) },
    { name: 'Affinity', cell: (row) => affinity(row.get('affinitySeconds').value) },
    { name: 'Algorithm', cell: (row) => plain(row.get('algorithm')) },
    { name: 'Source ranges', cell: (row) => texts(row.get('sourceRanges')).join(',') },
    { name: 'Unused endpoints', cell: (row) => row.get('unusedEndpoints').items().map(unusedEndpoint).join(', ') },
  ],
  endpoints: [
    { name: 'Index', cell: (row) => plain(row.get('hostIfindex')) },
    { name: 'Pod MAC', cell: (row) => plain(row.get('podMac')) },
    { name: 'MTU', cell: (row) => plain(row.get('mtu')) },
    { name: 'Host ports', cell: (row) => row.get('hostPorts').items().map(hostPort).join(',') },
    { name: 'Age', cell: (row) => age(row.get('createdAt').value) },
    { name: 'All labels', cell: (row) => texts(row.get('labels')).join(',') },
  ],
  nodes: [
    { name: 'Router', cell: (row) => texts(row.get('routerAddresses')).join(', ') },
    { name: 'Labels', cell: (row) => pairs(row.get('labels')).join(',') },
  ],
};

function plain({ value }: Field): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

const texts = (field: Field): string[] => field.items().map(plain);

const pairs = ({ value }: Field): string[] =>
  typeof value === 'object' && value !== null
    ? Object.entries(value).map(([name, text]) => (text === '' ? name : `${name}=${String(text)}`))
    : [];

const affinity = (seconds: unknown): string => (typeof seconds === 'number' && seconds > 0 ? `${seconds} s` : '');
const age = (at: unknown): string => (typeof at === 'number' ? formatAge((Date.now() - at) / 1_000) : '');

/** `10.0.0.1:8080->80/TCP` */
function hostPort(mapping: Field): string {
  const address = plain(mapping.get('hostIp'));
  const ports = `${plain(mapping.get('hostPort'))}->${plain(mapping.get('containerPort'))}`;
  return `${address === '' ? '' : `${address}:`}${ports}/${plain(mapping.get('protocol'))}`;
}

/** `10.244.1.7:8080/TCP (on another node, k8s-cp2, zone-b)` */
function unusedEndpoint(endpoint: Field): string {
  const about = ['why', 'nodeName', 'zone'].map((name) => plain(endpoint.get(name))).filter((text) => text !== '');
  return `${plain(endpoint.get('key'))} (${about.join(', ')})`;
}
