// In which mode the nodes of a test file run: a file that imports another one's tests sets it before.
import type { Acceleration } from './xdp.ts';

export interface TestMode {
  /** XDP at every device that faces the network or another node. */
  isAccelerated: boolean;
  /** Of the nodes that are so. */
  readonly accelerations: Acceleration[];
}

export const testMode: TestMode = { isAccelerated: false, accelerations: [] };
