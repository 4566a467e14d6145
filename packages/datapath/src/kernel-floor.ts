import { release } from 'node:os';
import { isVersionAtLeast, kernelVersion, NotSupportedError, requireFeatures } from '@sluice/bpf';

/** The first with TCX links. */
const FLOOR = '6.6';

/**
 * Throws an error that names the kernel and what it lacks, before anything is loaded that would fail in many ways. An
 * older kernel that has got what we need, as distributions for enterprises do, is good enough.
 */
export function requireKernel(): void {
  if (isVersionAtLeast(kernelVersion(), FLOOR)) return;
  try {
    requireFeatures('TCX link');
  } catch (error) {
    if (!(error instanceof NotSupportedError)) throw error;
    throw new Error(`the kernel is ${release()}, which is too old: Sluice needs Linux ${FLOOR} (TCX links)`, {
      cause: error,
    });
  }
}
