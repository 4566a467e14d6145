import {
  type PodReference,
  parseContainerId,
  parseInterfaceName,
  parseNamespacePath,
  parsePodReference,
} from './environment.ts';
import { CniCode, CniError } from './error.ts';
import type { Message } from './message.ts';
import { type PortMapping, parsePortMappings } from './port-mapping.ts';
import { type CniVersion, negotiateVersion, requireVersion } from './version.ts';

export type { PodReference };

/** A container and one of its interfaces: what ADD makes one of. */
export interface AttachmentKey {
  readonly containerId: string;
  readonly ifname: string;
}

interface Common {
  readonly cniVersion: CniVersion;
}

export interface AddRequest extends Common, AttachmentKey {
  readonly command: 'ADD';
  readonly netns: string;
  readonly pod: PodReference | undefined;
  readonly portMappings: readonly PortMapping[];
  /** Of a plugin before us in the list. */
  readonly previousResult: JsonObject | undefined;
}

export interface DelRequest extends Common, AttachmentKey {
  readonly command: 'DEL';
  readonly pod: PodReference | undefined;
}

export interface CheckRequest extends Common, AttachmentKey {
  readonly command: 'CHECK';
  readonly netns: string;
  readonly previousResult: JsonObject;
}

export interface StatusRequest extends Common {
  readonly command: 'STATUS';
}

export interface GcRequest extends Common {
  readonly command: 'GC';
  readonly validAttachments: readonly AttachmentKey[];
}

export type CniRequest = AddRequest | DelRequest | CheckRequest | StatusRequest | GcRequest;

export type JsonObject = Readonly<Record<string, unknown>>;

/** Checks everything that comes from outside, once. The version is found first: it words the errors of the rest. */
export function parseRequest(message: Message): CniRequest {
  const configuration = parseConfiguration(message.get('configuration') ?? '');
  const cniVersion = negotiateVersion(configuration.cniVersion);
  const command = message.get('CNI_COMMAND') ?? '';
  checkConfiguration(configuration, command);
  switch (command) {
    case 'ADD':
      return {
        command,
        cniVersion,
        ...parseKey(message),
        netns: parseNamespacePath(message.get('CNI_NETNS')),
        pod: parsePodReference(message.get('CNI_ARGS')),
        portMappings: parsePortMappings(runtimeConfig(configuration).portMappings),
        previousResult: parsePreviousResult(configuration),
      };
    case 'DEL':
      return { command, cniVersion, ...parseKey(message), pod: parsePodReference(message.get('CNI_ARGS')) };
    case 'CHECK':
      requireVersion(command, cniVersion, '0.4.0');
      return {
        command,
        cniVersion,
        ...parseKey(message),
        netns: parseNamespacePath(message.get('CNI_NETNS')),
        previousResult: requirePreviousResult(configuration),
      };
    case 'STATUS':
      requireVersion(command, cniVersion, '1.1.0');
      return { command, cniVersion };
    case 'GC':
      requireVersion(command, cniVersion, '1.1.0');
      return { command, cniVersion, validAttachments: parseValidAttachments(configuration) };
    default:
      throw new CniError(
        CniCode.InvalidEnvironment,
        `CNI_COMMAND ${JSON.stringify(command)} is not one of ADD, DEL, CHECK, STATUS, GC, VERSION`,
      );
  }
}

/** For wording an error of a request that could not be read. */
export function versionOf(message: Message, otherwise: CniVersion): CniVersion {
  try {
    return negotiateVersion(parseConfiguration(message.get('configuration') ?? '').cniVersion);
  } catch {
    return otherwise;
  }
}

function parseKey(message: Message): AttachmentKey {
  return {
    containerId: parseContainerId(message.get('CNI_CONTAINERID')),
    ifname: parseInterfaceName(message.get('CNI_IFNAME')),
  };
}

function parseConfiguration(text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new CniError(CniCode.Decode, `the network configuration is not JSON: ${String(cause)}`, { cause });
  }
  if (!isObject(value)) throw new CniError(CniCode.Decode, 'the network configuration is not a JSON object');
  return value;
}

// What we would have to act on and cannot; passing it over in silence would be a promise broken.
const unsupportedRuntimeFields = ['bandwidth', 'ips', 'ipRanges', 'mac'];

function checkConfiguration(configuration: JsonObject, command: string): void {
  const name = configuration.name;
  if (typeof name !== 'string' || !/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(name)) {
    throw new CniError(
      CniCode.InvalidConfig,
      `name ${JSON.stringify(name)} of the network configuration is not a name`,
    );
  }
  // Removing must work with whatever stands in the configuration meanwhile.
  if (command !== 'ADD') return;
  if (isObject(configuration.ipam) && Object.keys(configuration.ipam).length > 0)
    throw unsupported('ipam', configuration.ipam);
  const runtime = runtimeConfig(configuration);
  for (const field of unsupportedRuntimeFields) {
    const value = runtime[field];
    if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) continue;
    throw unsupported(`runtimeConfig.${field}`, value);
  }
}

function runtimeConfig({ runtimeConfig: runtime }: JsonObject): JsonObject {
  return isObject(runtime) ? runtime : {};
}

function unsupported(field: string, value: unknown): CniError {
  return new CniError(
    CniCode.UnsupportedField,
    `${field} ${JSON.stringify(value).slice(0, 200)} of the network configuration is not supported by sluice`,
  );
}

function parsePreviousResult(configuration: JsonObject): JsonObject | undefined {
  const value = configuration.prevResult;
  if (value === undefined || value === null) return undefined;
  if (isObject(value)) return value;
  throw new CniError(CniCode.InvalidConfig, 'prevResult of the network configuration is not an object');
}

function requirePreviousResult(configuration: JsonObject): JsonObject {
  const result = parsePreviousResult(configuration);
  if (result) return result;
  throw new CniError(CniCode.InvalidConfig, 'CHECK needs prevResult, the answer to ADD, in the network configuration');
}

// Written `containerID` by libcni.
function parseValidAttachments(configuration: JsonObject): AttachmentKey[] {
  const list = configuration['cni.dev/valid-attachments'] ?? configuration['cni.dev/attachments'];
  // Without the list everything would be garbage: that is a mistake and not a request.
  if (!Array.isArray(list)) throw new CniError(CniCode.InvalidConfig, 'GC needs cni.dev/valid-attachments, a list');
  return list.map((entry: unknown) => {
    const containerId = isObject(entry) ? entry.containerID : undefined;
    const ifname = isObject(entry) ? entry.ifname : undefined;
    if (typeof containerId === 'string' && typeof ifname === 'string') return { containerId, ifname };
    throw new CniError(
      CniCode.InvalidConfig,
      `cni.dev/valid-attachments has ${JSON.stringify(entry)}, which names no attachment`,
    );
  });
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
