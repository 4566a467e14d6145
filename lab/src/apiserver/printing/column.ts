import type { KubernetesObject } from '../object.ts';

export type Cell = string | number | boolean | null;

/** A column of `kubectl get`; priority 1 is for `-o wide`. */
export interface Column {
  name: string;
  type: string;
  format: string;
  description: string;
  priority: number;
  cell: (object: KubernetesObject) => Cell;
}

export function column<T extends KubernetesObject>(
  name: string,
  cell: (object: T) => Cell,
  options: { wide?: boolean; type?: string } = {},
): Column {
  return {
    name,
    type: options.type ?? 'string',
    format: name === 'Name' ? 'name' : '',
    description: '',
    priority: options.wide ? 1 : 0,
    // The registry pairs columns with objects of their own kind only.
    cell: (object) => cell(object as T),
  };
}

export const nameColumn = column('Name', (object) => object.metadata.name);
export const ageColumn = column('Age', (object) => age(object.metadata.creationTimestamp));

/** Time since then, as kubectl prints it: 47s, 3m12s, 5h, 2d. */
export function age(timestamp: string | null | undefined, now: number = Date.now()): string {
  if (!timestamp) return '<unknown>';
  const seconds = Math.floor((now - Date.parse(timestamp)) / 1000);
  if (Number.isNaN(seconds) || seconds < -1) return '<invalid>';
  if (seconds < 120) return `${Math.max(seconds, 0)}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return join(minutes, 'm', seconds % 60, 's');
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return join(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (hours < 192) return join(days, 'd', hours % 24, 'h');
  if (days < 730) return `${days}d`;
  const years = Math.floor(days / 365);
  return years < 8 ? join(years, 'y', days % 365, 'd') : `${years}y`;
}

function join(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit}${small}${smallUnit}`;
}
