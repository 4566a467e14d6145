import { existsSync, readdirSync, renameSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

const asideSuffix = '.sluice-aside';

/** Names that a runtime reads in the folder, in its order; without the folder none. */
export function configurationsIn(folder: string): string[] {
  return namesIn(folder).filter((name) => /\.(conf|conflist|json)$/.test(name));
}

/** Renames what stands beside our configuration, so that a runtime does not see it. Returns the names. */
export function setOthersAside(configFile: string): string[] {
  const folder = dirname(configFile);
  const others = configurationsIn(folder).filter((name) => name !== basename(configFile));
  for (const name of others) renameSync(join(folder, name), join(folder, `${name}${asideSuffix}`));
  return others;
}

/** Names of those that have been set aside. */
export function othersAside(configFile: string): string[] {
  return namesIn(dirname(configFile)).filter((name) => name.endsWith(asideSuffix));
}

/** Gives them their names again; one that has been written anew since stays as it is. Returns the names. */
export function putOthersBack(configFile: string): string[] {
  const folder = dirname(configFile);
  return othersAside(configFile).flatMap((name) => {
    const before = name.slice(0, -asideSuffix.length);
    if (existsSync(join(folder, before))) return [];
    renameSync(join(folder, name), join(folder, before));
    return [before];
  });
}

function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).sort() : [];
}
