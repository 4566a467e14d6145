import { type Place, runInside } from './inside.ts';
import { benchLoad } from './load.ts';

/** SYNs to a target from clients that do not exist (bench/c/bench-load/flood.c), as fast as CPU 0 sends them. */
export async function flood(
  place: Place,
  { address, port }: { readonly address: string; readonly port: number },
  { count, seed }: { readonly count: number; readonly seed: number },
): Promise<{ readonly sent: number; readonly seconds: number }> {
  const numbers = ['--count', String(count), '--seed', String(seed), '--cpu', '0'];
  return JSON.parse(await runInside(place, [benchLoad, 'flood', address, String(port), ...numbers]));
}
