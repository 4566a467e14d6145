/** The tables of connections of a node: how full they are, by the kernel and by what the agent tells, and filling them. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { StatusReport } from '@sluice/agent';
import { BpfMap, openMap, type TypedMap } from '@sluice/bpf';
import { type Connection, CtKind, CtState, conntrackMap, conntrackNewMap, type Tuple } from '@sluice/datapath';
import { isSystemError } from '@sluice/ffi';
import { parseAddress } from '@sluice/net';
import { agentMetrics } from './agent-metrics.ts';
import type { BenchNode } from './cluster.ts';

type Table = TypedMap<Tuple, Connection>;

export interface ConnectionTables extends Disposable {
  readonly established: Table;
  readonly begun: Table;
  /** Makes up established connections between addresses that nobody has, until that share of the table is in use. */
  fill(share: number): void;
  /** Those that were made up are over, and the agent's to collect. */
  endMadeUp(): void;
}

const secondNs = 1_000_000_000n;
/** As long as one that is kept alive. */
const lifeNs = 8_000n * secondNs;

export function connectionTables({ bpffs }: BenchNode): ConnectionTables {
  using stack = new DisposableStack();
  const open = (descriptor: typeof conntrackMap): Table =>
    openMap(stack.use(BpfMap.openPinned(join(bpffs, 'sluice/maps', descriptor.name))), descriptor);
  const [established, begun] = [open(conntrackMap), open(conntrackNewMap)];
  const madeUp: [Tuple, Connection][] = [];
  const owned = stack.move();
  return {
    established,
    begun,
    fill(share) {
      const template = [...established.entries()].find(([, { kind }]) => kind === CtKind.Connection)?.[1];
      assert.ok(template, 'the node has no connection yet');
      const expiresNs = process.hrtime.bigint() + lifeNs;
      const row = { ...template, expiresNs, state: CtState.Established };
      const { maxEntries } = established.descriptor;
      for (let room = Math.ceil(share * maxEntries) - established.count(); room > 0 || share >= 1; room -= 1) {
        const tuple = nobodys(madeUp.length);
        if (!tryUpdate(established, tuple, row)) return;
        madeUp.push([tuple, row]);
      }
    },
    endMadeUp() {
      for (const [tuple, row] of madeUp.splice(0)) established.update(tuple, { ...row, expiresNs: 1n });
    },
    [Symbol.dispose]: () => owned.dispose(),
  };
}

/** False: it is full. */
function tryUpdate(table: Table, tuple: Tuple, row: Connection): boolean {
  try {
    table.update(tuple, row);
    return true;
  } catch (error) {
    if (isSystemError(error) && error.code === 'E2BIG') return false;
    throw error;
  }
}

function nobodys(number: number): Tuple {
  return {
    source: parseAddress(`100.64.${(number >> 8) & 0xff}.${number & 0xff}`),
    destination: parseAddress('100.65.0.1'),
    sourcePort: 1_024 + (number >> 16),
    destinationPort: 443,
    protocol: 6,
  };
}

/** What a person would be warned by: the gauge of the map's fill, and the status's module. */
export async function toldOfConntrack({ agent }: BenchNode): Promise<{ readonly gauge: number; readonly why: string }> {
  const [metrics, status] = [await agentMetrics(agent), await agent.get<StatusReport>('/status')];
  const sample = metrics('cilium_bpf_map_pressure').find(({ labels }) => labels.includes('conntrack'));
  const module = status.modules.find(({ name }) => name === 'conntrack');
  return { gauge: sample?.value ?? Number.NaN, why: module?.why ?? '' };
}
