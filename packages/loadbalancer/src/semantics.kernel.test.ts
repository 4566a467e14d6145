// Needs root. The same as semantics.test.ts, asked of the real programs on real maps, by test run.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type Configuration, type Datapath, DropReason, EndpointFlag, openDatapath } from '@sluice/datapath';
import { protocolNumbers } from '@sluice/model';
import { formatAddressPort, packet, parseAddress, parseMac } from '@sluice/net';
import { installationRoot, silentLogger } from '@sluice/runtime';
import { holds, temporaryBpffs, temporaryCgroup, temporaryNetworkNamespace } from '@sluice/testing';
import fc from 'fast-check';
import { plain } from '../test/row-verdict.ts';
import { type Asked, familyOf, type ModelClient, modelVerdict, type Verdict } from '../test/service-model.ts';
import { modelClients, questions, readWorld, world } from '../test/service-worlds.ts';
import { desiredFrontends } from './desired.ts';
import { KernelServices } from './kernel-services.ts';

const mac = parseMac('02:00:00:00:00:01');
/** Loopback: every packet of a test run comes by it. */
const ifindex = 1;
const podNetns = 4711n;
const nodeNetns = 1n;
const owned = new DisposableStack();
after(() => owned.dispose());

const addressOf = (kind: ModelClient['kind'], family: 4 | 6) =>
  parseAddress(modelClients.find((each) => each.kind === kind && familyOf(each.address) === family)?.address ?? '');
const nodeAddresses = ['10.10.30.1', 'fd00:10:10:30::1'].map((text) => parseAddress(text));
const gateway = { ipv4: addressOf('node', 4), ipv6: addressOf('node', 6) };
const pod = { ipv4: addressOf('pod', 4), ipv6: addressOf('pod', 6) };

const configuration: Configuration = {
  ...{ bindProtection: 1, hostNetnsCookie: nodeNetns, dryRun: 0, hostRouting: 1, masqueradeIpv4: 0, masqueradeIpv6: 0 },
  ...{
    gatewayIpv4: gateway.ipv4,
    gatewayIpv6: gateway.ipv6,
    hostIfindex: ifindex,
    hostMac: mac,
    overlayIfindex: ifindex,
  },
  ...{ ipv4Enabled: 1, ipv6Enabled: 1, nodePortMin: 30_000, nodePortMax: 32_767, tunnelPort: 8472, nodeIdentity: 6 },
  ...{ underlayIpv4: undefined, underlayIpv6: undefined },
  ...{ maglevSeedIpv4: 0x71dc_da46, maglevSeedIpv6: 0x9250_5688 },
};

const namespace = owned.use(temporaryNetworkNamespace());

function openNode(): Datapath {
  const [cgroup, bpffs] = [owned.use(temporaryCgroup()), owned.use(temporaryBpffs())];
  const datapath = owned.use(
    openDatapath({
      ...{ bpffs: bpffs.path, cgroupPath: cgroup.path, configuration, log: silentLogger },
      objectsDirectory: `${installationRoot()}/bpf/build`,
    }),
  );
  const common = { ifindex, mac, nodeMac: mac };
  for (const address of [...Object.values(gateway), ...nodeAddresses])
    datapath.maps.endpoints.update(address, { ...common, id: 0, identity: 1, flags: EndpointFlag.Host });
  for (const address of Object.values(pod))
    datapath.maps.endpoints.update(address, { ...common, id: 7, identity: 1000, flags: 0 });
  datapath.maps.netnsEndpoints.update(podNetns, { endpointId: 7, identity: 1000, ...pod });
  return datapath;
}

const datapath = openNode();
const kernel = new KernelServices({
  ...{ maps: datapath.maps, maglev: { tableSize: 251, seed: 1 }, nowMs: () => 0, graceMs: 0 },
});
const all = questions();

/** As the reconciler does it: what is not wanted goes, and the rest follows the rows. */
function serve(given: Parameters<typeof readWorld>[0]): void {
  const { service, slices, viewpoint } = readWorld(given);
  const rows = desiredFrontends(service, slices, { ...viewpoint, algorithm: 'maglev' });
  const wanted = new Set(rows.map(({ key }) => key));
  for (const key of kernel.keys().filter((each) => !wanted.has(each))) kernel.delete(key);
  for (const row of rows) kernel.update(row);
  kernel.collect();
}

/** By the row, whose slots say who may be chosen. Where there is none the packets say what becomes of them. */
function rowVerdict(asked: Asked, client: ModelClient): Verdict | undefined {
  const call = { ...asked, address: parseAddress(asked.address), protocol: protocolNumbers[asked.protocol] };
  const row = datapath
    .dryRun()
    .service({ ...call, client: parseAddress(client.address), clientPort: 40_000, kind: client.kind });
  if (row === undefined) return undefined;
  if (row.result === 'not allowed') return { verdict: 'dropped', why: 'not allowed' };
  if (row.result === 'no local backend') return { verdict: 'dropped', why: 'nobody here' };
  if (row.result === 'no backend') return { verdict: 'rejected' };
  const { serviceId, generation } = row;
  const backends = Array.from({ length: row.backendCount }, (_, slot) =>
    placeOf(datapath.maps.slots.lookup({ serviceId, generation, slot })?.backendId ?? 0),
  );
  assert.ok(backends.includes(placeOf(row.backend?.id ?? 0)), 'the choice is one of the slots');
  return { verdict: 'served', backends: backends.sort() };
}

function placeOf(id: number): string {
  const { address, port } = datapath.maps.backends.lookup(id) ?? assert.fail(`no backend ${id}`);
  return plain(formatAddressPort(address ?? parseAddress('::'), port));
}

const programs = { pod: 'pod_from_pod', node: 'host_from_host', outside: 'netdev_from_network' } as const;

/** What becomes of a packet: served is whoever is led to one of the backends. */
function packetVerdict(asked: Asked, client: ModelClient): Verdict {
  const ends = { source: parseAddress(client.address), destination: parseAddress(asked.address) };
  const frame = packet().ethernet({ source: mac, destination: mac });
  const network = familyOf(asked.address) === 4 ? frame.ipv4(ends) : frame.ipv6(ends);
  const ports = { sourcePort: 40_000, destinationPort: asked.port };
  const bytes = (asked.protocol === 'TCP' ? network.tcp(ports) : network.udp(ports)).payload();
  const { explanation } = datapath.dryRun().packet({ program: programs[client.kind], ifindex, bytes });
  if (explanation === undefined) return { verdict: 'untouched' };
  if (explanation.backendId !== 0) return { verdict: 'served', backends: [placeOf(explanation.backendId)] };
  if (explanation.reason === DropReason.ClientNotAllowed) return { verdict: 'dropped', why: 'not allowed' };
  if (explanation.reason === DropReason.NoLocalBackend) return { verdict: 'dropped', why: 'nobody here' };
  return { verdict: explanation.reason === DropReason.NoBackend ? 'rejected' : 'untouched' };
}

/** The node's own packets to itself pass no program: who has no socket there is refused by the stack. */
function isSent({ address }: Asked, { kind }: ModelClient): boolean {
  return kind !== 'node' || !nodeAddresses.includes(parseAddress(address));
}

/** What a socket's call is given; undefined: it goes on, and its packets say the rest. */
function callVerdict({ address, port, protocol }: Asked, { kind }: ModelClient): Verdict | undefined {
  const call = { address: parseAddress(address), port, protocol: protocolNumbers[protocol] };
  const answer = datapath.dryRun().socketCall({ ...call, netnsCookie: kind === 'pod' ? podNetns : nodeNetns });
  if (answer.result === 'none') return undefined;
  if (answer.result === 'not allowed') return { verdict: 'dropped', why: 'not allowed' };
  return answer.backend === undefined
    ? { verdict: 'rejected' }
    : { verdict: 'served', backends: [placeOf(answer.backend.id)] };
}

/** Who is led to one of several was led to one of these. */
function assertSays(verdict: Verdict, model: Verdict, told: string): void {
  if (verdict.verdict !== 'served' || model.verdict !== 'served') assert.deepEqual(verdict, model, told);
  else
    assert.ok(
      verdict.backends.every((backend) => model.backends.includes(backend)),
      `${told}: ${verdict.backends}`,
    );
}

test('the kernel leads every client as Kubernetes documents it: by its rows, at the socket, and packet by packet', () => {
  const seen = new Set<string>();
  namespace.run(() =>
    holds(
      fc.property(world, (given) => {
        serve(given);
        for (const { asked, client } of all) {
          const model = modelVerdict(given, asked, client);
          const told = `${client.kind} ${client.address} asks ${asked.address} ${asked.port}/${asked.protocol}`;
          const row = rowVerdict(asked, client);
          if (row !== undefined) assert.deepEqual(row, model, `row: ${told}`);
          else assert.ok(model.verdict === 'untouched' || model.verdict === 'rejected', `no row: ${told}`);
          if (isSent(asked, client)) assertSays(packetVerdict(asked, client), model, `packet: ${told}`);
          const call = client.kind === 'outside' ? undefined : callVerdict(asked, client);
          if (call !== undefined) assertSays(call, model, `call: ${told}`);
          seen.add(`${client.kind} ${model.verdict}`);
        }
      }),
      120,
    ),
  );
  for (const kind of ['pod', 'node', 'outside'])
    for (const verdict of ['served', 'rejected', 'dropped', 'untouched'])
      assert.ok(seen.has(`${kind} ${verdict}`), `${kind} ${verdict} never came: more cases are needed`);
});
