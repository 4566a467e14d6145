import { lstatSync, readlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** With `loopback` beside it where that is a link to ours (packages/launcher): to others it would be a dead one. */
export function installedPlugins(pluginFile: string | undefined): string[] {
  if (pluginFile === undefined) return [];
  const loopback = join(dirname(pluginFile), 'loopback');
  const status = lstatSync(loopback, { throwIfNoEntry: false });
  const isOurs = status?.isSymbolicLink() && readlinkSync(loopback) === basename(pluginFile);
  return isOurs ? [loopback, pluginFile] : [pluginFile];
}
