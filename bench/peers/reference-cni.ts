/** The CNI project's own plugins, with the kernel's means only: `bridge` and `ptp`, addresses by `host-local`. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Place } from '../environment/inside.ts';
import { type BenchNetwork, forwarding } from '../environment/network.ts';

export interface ReferencePlugin {
  readonly peer: string;
  /** A node of its own. */
  readonly node: Place;
  readonly plugin: string;
  readonly config: string;
}

/** Where Debian's package has them, and where a cluster's installer puts them. */
const folders = ['/usr/lib/cni', '/opt/cni/bin'];

const types = [
  { type: 'bridge', subnet: '10.22.0.0/16', rest: { bridge: 'cni0', isGateway: true } },
  { type: 'ptp', subnet: '10.23.0.0/16', rest: {} },
];

export function referencePlugins(network: BenchNetwork, directory: string): ReferencePlugin[] {
  const folder = folders.find((path) => existsSync(join(path, 'bridge')));
  if (folder === undefined) {
    throw new Error(
      `the reference CNI plugins are not in ${folders.join(' or ')}: apt-get install containernetworking-plugins`,
    );
  }
  return types.map(({ type, subnet, rest }) => {
    const dataDir = join(directory, type);
    mkdirSync(dataDir);
    const config = join(directory, `${type}.json`);
    const ipam = { type: 'host-local', ranges: [[{ subnet }]], routes: [{ dst: '0.0.0.0/0' }], dataDir };
    writeFileSync(config, JSON.stringify({ cniVersion: '1.0.0', name: 'bench', type, ...rest, ipam }));
    const node = { netns: network.namespace(forwarding) };
    return { peer: `reference ${type} + host-local`, node, plugin: join(folder, type), config };
  });
}
