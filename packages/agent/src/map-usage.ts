import type { Datapath } from '@sluice/datapath';
import type { MapUsage } from './report.ts';

/** Arrays are born full: a fill would only frighten. */
export function mapUsage(datapath: Datapath | undefined): MapUsage[] {
  const usage = datapath?.mapUsage() ?? [];
  return usage.map((map) => (map.type.includes('array') ? { ...map, entries: undefined } : map));
}
