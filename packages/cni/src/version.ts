import { CniCode, CniError } from './error.ts';

/** Oldest first. The same list stands in `../c/main.c`, which answers VERSION without the agent. */
export const supportedVersions = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;

export type CniVersion = (typeof supportedVersions)[number];

export const newestVersion: CniVersion = '1.1.0';

/** A configuration without a version means 0.1.0 (specification, "Configuration format"). */
export function negotiateVersion(given: unknown): CniVersion {
  const wanted = given === undefined || given === '' ? '0.1.0' : given;
  const version = supportedVersions.find((supported) => supported === wanted);
  if (version) return version;
  throw new CniError(
    CniCode.IncompatibleVersion,
    `cniVersion ${JSON.stringify(wanted)} is not supported: ${supportedVersions.join(', ')} are`,
  );
}

/** Commands came with versions: CHECK with 0.4.0, STATUS and GC with 1.1.0. */
export function requireVersion(command: string, version: CniVersion, since: CniVersion): void {
  if (supportedVersions.indexOf(version) >= supportedVersions.indexOf(since)) return;
  throw new CniError(
    CniCode.IncompatibleVersion,
    `${command} exists since CNI ${since}, the configuration asks for ${version}`,
  );
}
