import { renameSync, rmSync } from 'node:fs';
import {
  BpfMap,
  type Btf,
  LayoutMismatchError,
  type MapMigration,
  type MapSpec,
  planMigration,
  unpin,
} from '@sluice/bpf';
import { waitForGracePeriod } from '@sluice/ffi';
import type { Logger } from '@sluice/runtime';
import { CtState } from './generated/enums.ts';
import { mapIdsInUse } from './maps-in-use.ts';
import type { Paths } from './paths.ts';

/** Why a map is followed by another. */
export type Change = 'layout' | 'size';

interface Succession {
  readonly name: string;
  readonly migration: MapMigration;
  readonly transfer: ReturnType<MapMigration['between']>;
  readonly change: Change;
  /** An upgrade that was interrupted while links changed over: programs work on both maps. */
  readonly isInUse: boolean;
}

interface SuccessorOptions {
  readonly btf: Btf;
  /** Of the BTF, loaded. */
  readonly fd: number;
  readonly change: Change;
}

/**
 * Maps whose layout, or wanted size, has changed between the version that pinned them and this one. Rows are taken over while the former
 * programs run, just before the new ones come into the links, and once more for what came meanwhile; then each
 * successor gets its predecessor's pin. Killed at any point, the next start goes on: a successor that no link uses yet
 * is made anew, one that is in use keeps what it has, and gets every row that it has not: also those few that its programs
 * had removed before, which nobody remembers.
 */
export class Successors {
  readonly #paths: Paths;
  readonly #all: Succession[] = [];
  /** Pins of successors that nobody wants any more. */
  readonly #refused: string[] = [];

  constructor(paths: Paths) {
    this.#paths = paths;
  }

  /** Throws LayoutMismatchError where rows cannot be read as those of the new layout. */
  add(from: BpfMap, spec: MapSpec, { btf, fd, change }: SuccessorOptions): BpfMap {
    const migration = planned(from, spec, { btf, pin: this.#paths.map(spec.name) });
    const path = this.#pin(spec.name);
    using stack = new DisposableStack();
    const left = this.#paths.isPinned(path) ? stack.use(BpfMap.openPinned(path)) : undefined;
    const isInUse = left !== undefined && mapIdsInUse(this.#paths).has(left.info.id);
    if (left !== undefined && !isInUse) unpin(path);
    const to = isInUse ? BpfMap.openPinned(path) : BpfMap.create(spec, fd);
    if (!isInUse) to.pin(path);
    this.#all.push({ name: spec.name, migration, transfer: migration.between(from, to), change, isInUse });
    return to;
  }

  /** The map stays as it is: a start that was interrupted, and wanted it otherwise, may have left a successor. */
  refuse(name: string): void {
    if (this.#paths.isPinned(this.#pin(name))) this.#refused.push(this.#pin(name));
  }

  /** Programs are about to change over to other tables of connections, where one that has just begun may lack. */
  get areOfConnections(): boolean {
    return this.#all.some(({ name }) => connectionMaps.includes(name));
  }

  /** Fills the successors; the former programs go on working on the predecessors. */
  fill(log: Logger): void {
    for (const succession of this.#all) {
      const { name, migration, change } = succession;
      const { kept, lost } = take(succession);
      const fields = { map: name, kept, lost, fieldsLost: migration.lost, fieldsAdded: migration.added };
      const loss = lost === 0 ? '' : `, ${lost} cannot be kept`;
      log[lost === 0 ? 'info' : 'warn'](
        fields,
        `map ${name} has another ${change} now: ${kept} rows taken over${loss}`,
      );
    }
  }

  /** Again, for full tables take a while: the fewer connections are missed when the programs change over. */
  refill(): void {
    for (const succession of this.#all) take(succession);
  }

  /** Once no link works on the predecessors: what came meanwhile, what went meanwhile, and the pins. */
  settle(): void {
    const complete = () => {
      for (const { transfer } of this.#all) transfer.complete();
    };
    complete();
    if (this.#all.length > 0) waitForGracePeriod();
    // Of packets that were on their way through a former program as its link changed over.
    complete();
    // Last, for what moves from one table into another stands in both, and not in neither.
    for (const { transfer } of this.#all) transfer.prune();
    for (const { name } of this.#all.splice(0)) renameSync(this.#pin(name), this.#paths.map(name));
    for (const pin of this.#refused.splice(0)) rmSync(pin, { force: true, recursive: true });
  }

  #pin(name: string): string {
    return this.#paths.map(`${name}_next`);
  }
}

/** Of struct connection; backends have a state as well, and no age. */
const closedState = BigInt(CtState.Closed);
const connectionMaps: readonly string[] = ['conntrack', 'conntrack_new'];

const take = ({ transfer, isInUse }: Succession) => (isInUse ? transfer.complete() : transfer.fill());

function planned(from: BpfMap, spec: MapSpec, { btf, pin }: { readonly btf: Btf; readonly pin: string }): MapMigration {
  try {
    return planMigration(from, spec, btf, { ageField: 'created_ns', end: { field: 'state', from: closedState } });
  } catch (error) {
    if (!(error instanceof LayoutMismatchError)) throw error;
    const { map, expected, actual } = error;
    const remedy = `remove ${pin}, if it is not ours; otherwise "sluice cleanup" removes all of another version, and connections end`;
    throw new LayoutMismatchError({ map, expected, actual, remedy });
  }
}
