import { CniCode, CniError } from './error.ts';

/** The pod as the kubelet names it in CNI_ARGS. */
export interface PodReference {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string | undefined;
}

const containerIdBytesMax = 256;
const argumentsBytesMax = 16_384;
// IFNAMSIZ is 16 with the terminating zero.
const interfaceNameBytesMax = 15;
const namespacePathBytesMax = 4096;

/** Letters, digits, `.`, `_` and `-`, as the specification has it: the id becomes a file's name. */
export function parseContainerId(value: string | undefined): string {
  const id = required('CNI_CONTAINERID', value);
  if (id.length > containerIdBytesMax || !/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(id)) {
    throw invalid('CNI_CONTAINERID', id, 'a container id has letters, digits and . _ -, and at most 256 of them');
  }
  return id;
}

export function parseInterfaceName(value: string | undefined): string {
  const name = required('CNI_IFNAME', value);
  if (Buffer.byteLength(name) > interfaceNameBytesMax) {
    throw invalid('CNI_IFNAME', name, `an interface's name has at most ${interfaceNameBytesMax} bytes`);
  }
  // The kernel's own rule (dev_valid_name), and nothing that a terminal would obey.
  if (name === '.' || name === '..' || !/^[\x21-\x7e]+$/.test(name) || /[/:%]/.test(name)) {
    throw invalid('CNI_IFNAME', name, 'an interface\'s name has no spaces, no "/", ":" or "%"');
  }
  if (name === 'lo') throw invalid('CNI_IFNAME', name, 'lo is the loopback interface');
  return name;
}

export function parseNamespacePath(value: string | undefined): string {
  const path = required('CNI_NETNS', value);
  if (!path.startsWith('/') || path.length > namespacePathBytesMax || path.split('/').includes('..')) {
    throw invalid('CNI_NETNS', path, 'it must be an absolute path without ".."');
  }
  return path;
}

/** `K8S_POD_NAMESPACE=…;K8S_POD_NAME=…`; undefined when the runtime is not a kubelet's. Unknown keys are let pass. */
export function parsePodReference(value: string | undefined): PodReference | undefined {
  const pairs = parseArguments(value);
  const namespace = pairs.get('K8S_POD_NAMESPACE');
  const name = pairs.get('K8S_POD_NAME');
  const uid = pairs.get('K8S_POD_UID') || undefined;
  if (!namespace && !name) return undefined;
  if (!namespace || !/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(namespace)) {
    throw invalid('K8S_POD_NAMESPACE in CNI_ARGS', namespace ?? '', 'it is not the name of a namespace');
  }
  if (!name || name.length > 253 || !/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(name)) {
    throw invalid('K8S_POD_NAME in CNI_ARGS', name ?? '', 'it is not the name of a pod');
  }
  if (uid !== undefined && !/^[A-Za-z0-9-]{1,128}$/.test(uid)) {
    throw invalid('K8S_POD_UID in CNI_ARGS', uid, 'it is not a uid');
  }
  return { namespace, name, uid };
}

function parseArguments(value: string | undefined): Map<string, string> {
  const text = value ?? '';
  if (text.length > argumentsBytesMax) throw new CniError(CniCode.InvalidEnvironment, 'CNI_ARGS is too long');
  const pairs = new Map<string, string>();
  for (const pair of text.split(';').filter((part) => part !== '')) {
    const equals = pair.indexOf('=');
    if (equals < 1) throw invalid('CNI_ARGS', pair, 'it must be KEY=VALUE pairs with ";" between them');
    pairs.set(pair.slice(0, equals), pair.slice(equals + 1));
  }
  return pairs;
}

function required(name: string, value: string | undefined): string {
  if (value) return value;
  throw new CniError(CniCode.InvalidEnvironment, `${name} is not set`);
}

function invalid(name: string, value: string, rule: string): CniError {
  return new CniError(CniCode.InvalidEnvironment, `${name} ${JSON.stringify(value.slice(0, 300))}: ${rule}`);
}
