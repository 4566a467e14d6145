/** The part of `sluice cleanup` that is loaded only when it runs. */
import {
  CleanupError,
  type KubeProxyOptions,
  type Removal,
  removeKubeProxyRules,
  removeSluice,
  type SluiceOptions,
} from '@sluice/cleanup';
import { CommandError } from './command-error.ts';
import { alignTable } from './output.ts';

export function cleanUpSluice(options: SluiceOptions): Removal[] {
  return worded(() => removeSluice(options));
}

export function cleanUpKubeProxy(options: KubeProxyOptions): Removal[] {
  return worded(() => removeKubeProxyRules(options));
}

function worded(act: () => Removal[]): Removal[] {
  try {
    return act();
  } catch (error) {
    if (error instanceof CleanupError)
      throw new CommandError(`nothing was removed: ${error.message}`, { cause: error });
    throw error;
  }
}

export function removalText(removals: readonly Removal[]): string {
  if (removals.length === 0) return 'nothing to remove\n';
  return alignTable({
    columns: ['OUTCOME', 'KIND', 'WHAT', ''],
    rows: removals.map(({ outcome, kind, name, detail, error }) => [outcome, kind, name, error ?? detail]),
  });
}
