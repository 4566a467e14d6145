import { rmSync } from 'node:fs';
import { installedPlugins, putOthersBack } from '@sluice/cni';
import { isNotFound, isRecord, type KubeClient, KubeError, resources } from '@sluice/kube';
import { type Clock, type Logger, sleep } from '@sluice/runtime';

/** What has us run: `namespace/name` of the DaemonSet. */
export interface DaemonSetName {
  readonly namespace: string;
  readonly name: string;
}

export interface InstallationOptions {
  readonly daemonSet: DaemonSetName;
  readonly configFile: string | undefined;
  /** The executable that runtimes run; undefined: somebody else installed it. */
  readonly pluginFile: string | undefined;
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Logger;
}

const answerMs = 3_000;
const pollMs = 1_000;
/** The API server keeps a good answer about a token for 10 s, also when its account is gone. */
const patienceMs = 15_000;

/** What this node has of us for as long as our DaemonSet is there, whichever agent runs. */
export class Installation {
  readonly #options: InstallationOptions;

  constructor(options: InstallationOptions) {
    this.#options = options;
  }

  /**
   * Asked to stop, an agent is either replaced (then nothing changes, or its node would be called unready) or uninstalled.
   * What cannot be told is taken for the former.
   */
  async isOver(): Promise<boolean> {
    const { log, daemonSet } = this.#options;
    const state = await this.#daemonSetState();
    if (state === 'unknown')
      log.warn({ daemonSet }, 'whether Sluice is uninstalled cannot be told: the CNI configuration stays');
    return state === 'gone';
  }

  /** The runtime finds what it found before us. */
  remove(): void {
    const { configFile, pluginFile, log } = this.#options;
    try {
      for (const file of [configFile, ...installedPlugins(pluginFile)])
        if (file !== undefined) rmSync(file, { force: true });
      const restored = configFile === undefined ? [] : putOthersBack(configFile);
      log.info({ configFile, pluginFile, restored }, 'uninstalled: removed what the container runtime had of us');
    } catch (error) {
      log.error({ configFile, pluginFile, error }, 'uninstalled, but not all of it could be removed: do it by hand');
    }
  }

  async #daemonSetState(): Promise<'there' | 'gone' | 'unknown'> {
    const { client, clock, daemonSet, log } = this.#options;
    for (let waitedMs = 0; waitedMs <= patienceMs; waitedMs += pollMs) {
      try {
        const object = await client.get(resources.daemonSets, { ...daemonSet, signal: AbortSignal.timeout(answerMs) });
        return isDeleted(object) ? 'gone' : 'there';
      } catch (error) {
        if (isNotFound(error) || isUnknownToServer(error)) return 'gone';
        log.info({ daemonSet, error }, 'asked whether we are replaced or uninstalled');
        // With an uninstallation our rights go first, and then our account: that is what we wait to hear.
        if (!(error instanceof KubeError) || error.status !== 403) return 'unknown';
      }
      await sleep(clock, pollMs);
    }
    return 'unknown';
  }
}

function isDeleted(object: unknown): boolean {
  const metadata = isRecord(object) && isRecord(object.metadata) ? object.metadata : {};
  return metadata.deletionTimestamp !== undefined;
}

/** Our token worked until now: its account has been deleted. */
function isUnknownToServer(error: unknown): boolean {
  return error instanceof KubeError && error.status === 401;
}
