import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';

const usage = `npm run soak [-- OPTION...]: clients ask without a pause while a lab is shaken; nothing may be lost or left behind.

  --seconds N      how long; default 3600
  --kills N        agents killed with -9, at random and into their starts; default one in five seconds
  --hogs N         processes that never wait; default two for each CPU
  --interval N     milliseconds between two requests of a client; default 2
  --kept N         connections that stay, each asked over once a second; default 2000
  --rate N         new connections a second; default 400, as many as a client has ports for
  --seed N         the same seed, the same instants
  --only LIST      of kills,pods,services,nodes; default all four

  npm run soak -- --seconds 300 --seed 7
  npm run soak -- --seconds 120 --only kills --kills 200 --hogs 0
`;

const disturbances = ['kills', 'pods', 'services', 'nodes'] as const;
export type Disturbance = (typeof disturbances)[number];

export interface SoakOptions {
  readonly seconds: number;
  readonly kills: number;
  readonly hogs: number;
  readonly interval: number;
  readonly kept: number;
  readonly rate: number;
  readonly seed: number;
  readonly only: ReadonlySet<Disturbance>;
}

/** Ends the process where there is only something to say. */
export function readOptions(): SoakOptions {
  const text = { type: 'string' } as const;
  const names = {
    seconds: text,
    kills: text,
    hogs: text,
    interval: text,
    kept: text,
    rate: text,
    seed: text,
    only: text,
  };
  const { values } = parseArgs({ options: { ...names, help: { type: 'boolean' } } });
  if (values.help) {
    process.stdout.write(usage);
    process.exit(0);
  }
  const number = (name: keyof typeof names, otherwise: number) => {
    const value = Number(values[name] ?? otherwise);
    assert.ok(Number.isSafeInteger(value) && value >= 0, `--${name} ${values[name]}: a whole number`);
    return value;
  };
  const seconds = number('seconds', 3600);
  return {
    seconds,
    kills: number('kills', Math.ceil(seconds / 5)),
    hogs: number('hogs', 2 * availableParallelism()),
    interval: number('interval', 2),
    kept: number('kept', 2_000),
    rate: number('rate', 400),
    seed: number('seed', Date.now() % 1_000_000),
    only: new Set((values.only?.split(',') ?? disturbances).map(disturbance)),
  };
}

function disturbance(name: string): Disturbance {
  const found = disturbances.find((each) => each === name);
  assert.ok(found, `--only ${name}: there are ${disturbances.join(', ')}`);
  return found;
}
