// Opens a node's datapath as an agent of this version would, says so, and ends: `node open-datapath.ts JSON`.
import { inNetworkNamespace } from '@sluice/ffi';
import { installationRoot, silentLogger } from '@sluice/runtime';
import { type DatapathOptions, openDatapath } from '../src/index.ts';

export interface OpenDatapathOptions extends Pick<DatapathOptions, 'bpffs' | 'cgroupPath' | 'configuration'> {
  /** Path of the network namespace. */
  readonly namespace: string;
}

const { namespace, ...given } = JSON.parse(process.argv[2] ?? '') as OpenDatapathOptions;
// JSON has no such numbers: it comes as text.
const hostNetnsCookie = BigInt(given.configuration.hostNetnsCookie);
const options = { ...given, configuration: { ...given.configuration, hostNetnsCookie } };
const objectsDirectory = `${installationRoot()}/bpf/build`;
const open = () => openDatapath({ ...options, objectsDirectory, log: { ...silentLogger, info: say, warn: say } });
const datapath = inNetworkNamespace(namespace, open);
process.stdout.write(`open, ${datapath.links().filter(({ attached }) => attached).length} links\n`);
datapath[Symbol.dispose]();

function say(...words: readonly unknown[]): void {
  process.stdout.write(`${words.map((word) => (typeof word === 'string' ? word : '')).join('')}\n`);
}
