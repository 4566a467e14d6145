import type { CniAnswer } from '@sluice/cni';
import type { ApiCall } from '@sluice/kube';
import { Distribution, Tally } from '@sluice/runtime';

/** What has happened since the process began and stands in no table: counted where it happens, for whoever asks. */
export class Tallies {
  /** Lines of the log, by level. */
  readonly logged: Tally;
  /** By host, method and status. */
  readonly apiCalls = new Tally();
  /** By path and method. */
  readonly apiLatency = new Distribution();
  /** By command and the code of its answer. */
  readonly cni = new Distribution();
  /** Of the local API, by path, method and status. */
  readonly localApi = new Distribution();
  /** Of Services, by action. */
  readonly serviceEvents = new Tally();
  readonly serviceDelay = new Distribution();
  readonly nodeLatency = new Distribution();
  /** Collections of conntrack, by whether they came to their end. */
  readonly collections = new Distribution();
  /** Parts of the agent with how long each took to start. */
  readonly started = new Map<string, { readonly seconds: number; readonly isGood: boolean }>();

  constructor(logged = new Tally()) {
    this.logged = logged;
  }

  readonly onApiCall = ({ host, method, path, status, seconds }: ApiCall): void => {
    this.apiCalls.add([host, method, status === undefined ? noAnswer : String(status)]);
    this.apiLatency.observe([path, method], seconds);
  };

  readonly onCniAnswer = ({ command, code, seconds }: CniAnswer): void => {
    this.cni.observe([command, String(code ?? 0)], seconds);
  };
}

/** As client-go calls it. */
const noAnswer = '<error>';
