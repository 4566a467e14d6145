/** Sockets by the thousand, and what our hooks keep for them, beside what the kernel says that there is. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { attachIterator, BpfMap, loadObject, parseObject, readIterator } from '@sluice/bpf';
import { inspectedTranslationCodec } from '@sluice/datapath';
import { installationRoot } from '@sluice/runtime';
import { type Place, runInside, type Standing, startInside } from './inside.ts';
import { benchLoad } from './load.ts';

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
  /** Of them: whose getpeername() told another address than the one that was asked for. */
  readonly wrong: number;
}

/** Half of them TCP, half UDP, and connected when it returns. */
export async function liveSockets(place: Place, services: TwoServices, count: number): Promise<LiveSockets> {
  let told = { live: 0, wrong: count };
  const standing: Standing = await startInside(place, [...wordsFor('live', services), '--kept', String(count)], {
    onLine: (line) => {
      told = JSON.parse(line);
    },
  });
  if (told.live !== count) throw new Error(`${told.live} of ${count} sockets are connected`);
  return { count, wrong: told.wrong, [Symbol.asyncDispose]: () => standing[Symbol.asyncDispose]() };
}

/** Cookies of all sockets for whose way back the hooks of this node keep something; more than once where it is more. */
export function keptCookies(bpffs: string): bigint[] {
  using stack = new DisposableStack();
  const translations = stack.use(BpfMap.openPinned(join(bpffs, 'sluice/maps/translations')));
  const spec = parseObject(readFileSync(join(installationRoot(), 'bpf/build/inspect.o')), 'inspect');
  const { programs } = stack.use(loadObject(spec, { maps: new Map([['translations', translations]]) }));
  const program = programs.get('inspect_translations');
  if (!program) throw new Error('inspect.o has no program inspect_translations');
  const bytes = readIterator(stack.use(attachIterator({ program, map: translations })));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.byteLength / inspectedTranslationCodec.size }, (_, index) => {
    return inspectedTranslationCodec.decode(view, index * inspectedTranslationCodec.size).socketCookie;
  });
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
