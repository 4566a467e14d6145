/** Sockets by the thousand, and what our hooks keep for them, beside what the kernel says that there is. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { attachIterator, BpfMap, loadObject, parseObject, readIterator } from '@sluice/bpf';
import { inspectedTranslationCodec } from '@sluice/datapath';
import { installationRoot } from '@sluice/runtime';
import { type Place, runInside } from './inside.ts';
import { benchLoad } from './load.ts';
import { startTeller } from './teller.ts';

/** Two services; what is asked of the one could as well be asked of the other. */
export interface TwoServices {
  readonly address: string;
  readonly other: string;
  readonly port: number;
}

const wordsFor = (command: string, { address, other, port }: TwoServices) => [
  ...[benchLoad, command, address, String(port), '--other', other],
];

/** Sockets by the ways in which they came and went; every answer and every getpeername() was right. */
export async function churnSockets(
  place: Place,
  services: TwoServices,
  { count, seed }: { readonly count: number; readonly seed: number },
): Promise<Readonly<Record<string, number>>> {
  const numbers = ['--count', String(count), '--seed', String(seed), '--cpu', '0'];
  return JSON.parse(await runInside(place, [...wordsFor('churn', services), ...numbers]));
}

export interface LiveSockets extends AsyncDisposable {
  readonly count: number;
  /** How many of them tell by getpeername() another address than the one that was asked for. */
  wrong(): Promise<number>;
}

/** One in eight TCP, the others UDP, and connected when it returns. */
export async function liveSockets(place: Place, services: TwoServices, count: number): Promise<LiveSockets> {
  const command = [...wordsFor('live', services), '--kept', String(count)];
  const teller = await startTeller<{ readonly wrong: number }>(place, command);
  return {
    count,
    wrong: async () => (await teller.ask()).wrong,
    [Symbol.asyncDispose]: () => teller[Symbol.asyncDispose](),
  };
}

/** What connect() was given, and what unconnected sockets send to: map, and the iterator over it. */
const storages = [
  ['connected_sockets', 'inspect_connected_sockets'],
  ['connected_translations', 'inspect_connected'],
  ['translations', 'inspect_translations'],
] as const;

/** Cookies of all sockets for whose way back the hooks of this node keep something; more than once where it is more. */
export function keptCookies(bpffs: string): bigint[] {
  using stack = new DisposableStack();
  const opened = storages.map(([name]) => stack.use(BpfMap.openPinned(join(bpffs, 'sluice/maps', name))));
  const maps = Object.fromEntries(opened.map((map, index) => [storages[index]?.[0] ?? '', map]));
  const spec = parseObject(readFileSync(join(installationRoot(), 'bpf/build/inspect.o')), 'inspect');
  const { programs } = stack.use(loadObject(spec, { maps, programs: storages.map(([, program]) => program) }));
  return storages.flatMap(([name, iterator]) => {
    const [map, program] = [maps[name], programs.get(iterator)];
    if (!map || !program) throw new Error(`inspect.o has no program ${iterator}`);
    return cookiesOf(readIterator(stack.use(attachIterator({ program, map }))));
  });
}

function cookiesOf(bytes: Uint8Array): bigint[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { size, decode } = inspectedTranslationCodec;
  return Array.from({ length: bytes.byteLength / size }, (_, index) => decode(view, index * size).socketCookie);
}

/** Cookies of the TCP and UDP sockets in a namespace, also of those that no process has any more. */
export async function livingCookies(netns: string): Promise<Set<bigint>> {
  const text = await runInside({ netns }, ['ss', '--tcp', '--udp', '--all', '--numeric', '--extended', '--no-header']);
  return new Set([...text.matchAll(/ sk:([0-9a-f]+)/g)].map(([, cookie]) => BigInt(`0x${cookie}`)));
}

/** What the kernel has in small pieces, the storage of sockets among it. */
export function slabBytes(): number {
  return Number(/^Slab: +(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]) * 1024;
}
