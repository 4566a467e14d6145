import { readFileIfPresent, writeFileAtomic } from '@sluice/runtime';

export interface CniConfigurationOptions {
  /** Of the agent's CNI socket. */
  readonly agentSocket: string;
}

/** The network configuration list that the container runtime reads, usually as /etc/cni/net.d/05-sluice.conflist. */
export function cniConfiguration({ agentSocket }: CniConfigurationOptions): string {
  // Without the capability a runtime would keep host ports from us, and nobody could tell that they are not served.
  const plugin = { type: 'sluice-cni', agentSocket, capabilities: { portMappings: true } };
  // containerd 1.6 and 1.7 refuse 1.1.0 and read only the first field; newer runtimes take the newest that both know.
  const versions = { cniVersion: '1.0.0', cniVersions: ['1.0.0', '1.1.0'] };
  const list = { ...versions, name: 'sluice', plugins: [plugin] };
  return `${JSON.stringify(list, null, 2)}\n`;
}

/** Runtimes watch the folder: a file that is already right is not touched. Returns whether it was written. */
export function writeCniConfiguration(path: string, options: CniConfigurationOptions): boolean {
  const wanted = cniConfiguration(options);
  if (readFileIfPresent(path) === wanted) return false;
  writeFileAtomic(path, wanted, { mode: 0o644 });
  return true;
}
