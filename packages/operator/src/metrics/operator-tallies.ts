import type { ApiCall } from '@sluice/kube';
import { Distribution, Tally } from '@sluice/runtime';
import type { GarbageCounts } from '../identities/garbage.ts';

/** What has happened since the process began, for the metrics. */
export class OperatorTallies {
  /** Lines of the log, by level. */
  readonly logged: Tally;
  /** By host, method and status. */
  readonly apiCalls = new Tally();
  /** By path and method. */
  readonly apiLatency = new Distribution();
  /** Rounds of the collection of identities, by outcome. */
  readonly garbageRuns = new Tally();
  /** Of the last round that went well. */
  lastGarbage: { readonly seconds: number; readonly counts: GarbageCounts } | undefined;

  constructor(logged = new Tally()) {
    this.logged = logged;
  }

  readonly onApiCall = ({ host, method, path, status, seconds }: ApiCall): void => {
    // As client-go calls it.
    this.apiCalls.add([host, method, status === undefined ? '<error>' : String(status)]);
    this.apiLatency.observe([path, method], seconds);
  };

  readonly onGarbageRound = ({ seconds, counts }: { seconds: number; counts: GarbageCounts | undefined }): void => {
    this.garbageRuns.add([counts === undefined ? 'fail' : 'success']);
    if (counts !== undefined) this.lastGarbage = { seconds, counts };
  };
}
