/**
 * A node's CNI side as a process of its own, for tests: endpoints and server are real, maps and programs are fakes.
 * Arguments: a folder, then the pod CIDRs. Prints `ready`, then answers each line `endpoints` with the table as
 * JSON, and `status` with the first row's status.
 */
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { startCniServer } from '@sluice/cni';
import { NodeAddresses } from '@sluice/ipam';
import { parseMac, parsePrefix } from '@sluice/net';
import { openNetlink } from '@sluice/netlink';
import { createLogger } from '@sluice/runtime';
import { podDevices, startEndpoints } from '../src/index.ts';
import { fakeMaps, fakePrograms } from './fakes.ts';

const [folder = '', ...prefixes] = process.argv.slice(2);
const addresses = new NodeAddresses({ ipv4: true, ipv6: true });
addresses.setPrefixes(prefixes.map((prefix) => parsePrefix(prefix)));
const log = createLogger({ name: 'node', level: 'error' });
const endpoints = startEndpoints({
  stateFolder: join(folder, 'endpoints'),
  addresses,
  maps: fakeMaps(),
  programs: fakePrograms(),
  devices: podDevices({ netlink: openNetlink(), procPath: '/proc' }),
  nodeMac: parseMac('02:00:00:00:00:01'),
  mtu: () => ({ device: 1500, route: 1450 }),
  identities: { labelsOf: () => undefined, identityOf: () => undefined },
  log,
});
await startCniServer({ path: join(folder, 'cni.sock'), handler: endpoints, log });
process.stdout.write('ready\n');
for await (const line of createInterface({ input: process.stdin })) {
  const [first] = endpoints.table.list();
  if (line === 'status') process.stdout.write(`${JSON.stringify(first && endpoints.table.columns.Status?.(first))}\n`);
  if (line === 'endpoints') process.stdout.write(`${JSON.stringify(endpoints.table.list(), stringifyBigint)}\n`);
}
process.exit(0);

function stringifyBigint(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
