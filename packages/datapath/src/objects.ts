import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  AttachType,
  type BpfMap,
  type LoadedObject,
  loadObject,
  type ObjectSpec,
  type Program,
  parseObject,
} from '@sluice/bpf';
import { type Configuration, encodeConfiguration } from './generated/configuration.ts';
import { mapDescriptors } from './generated/maps.ts';

/** Objects with programs that are attached; `inspect` and `stale` have iterators, `contract` only types and maps. */
export const hookObjects = ['sock', 'pod', 'overlay', 'host', 'netdev', 'xdp'] as const;

/**
 * The socket hooks: program, which is also its link's name, and where in the cgroup it is attached. In this order: what
 * connect() remembers is forgotten by `sock_release`.
 */
export const sockHooks = [
  ['sock_release', AttachType.cgroupInetSockRelease],
  ['sock_connect4', AttachType.cgroupInet4Connect],
  ['sock_connect6', AttachType.cgroupInet6Connect],
  ['sock_sendmsg4', AttachType.cgroupUdp4Sendmsg],
  ['sock_sendmsg6', AttachType.cgroupUdp6Sendmsg],
  ['sock_recvmsg4', AttachType.cgroupUdp4Recvmsg],
  ['sock_recvmsg6', AttachType.cgroupUdp6Recvmsg],
  ['sock_getpeername4', AttachType.cgroupInet4Getpeername],
  ['sock_getpeername6', AttachType.cgroupInet6Getpeername],
  ['sock_post_bind4', AttachType.cgroupInet4PostBind],
  ['sock_post_bind6', AttachType.cgroupInet6PostBind],
] as const;

/** The pins' names of their links. */
export const sockHookNames: readonly string[] = sockHooks.map(([name]) => name);

/** The programs of `hookObjects`. */
export const hookPrograms: readonly string[] = [
  ...sockHookNames,
  'pod_from_pod',
  'overlay_from_overlay',
  'host_from_host',
  'netdev_from_network',
  'netdev_to_network',
  'xdp_from_network',
  'xdp_generic_from_network',
];

export function readObject(directory: string, name: string): ObjectSpec {
  return parseObject(readFileSync(join(directory, `${name}.o`)), name);
}

export interface LoadObjectsOptions {
  readonly directory: string;
  readonly names: readonly string[];
  readonly maps: ReadonlyMap<string, BpfMap>;
  readonly configuration: Configuration;
  readonly logDirectory?: string | undefined;
}

/** Programs by name, of several objects that share their maps. Disposing closes the descriptors. */
export interface Programs extends Disposable {
  get(name: string): Program;
  list(): Program[];
}

export function loadPrograms(options: LoadObjectsOptions): Programs {
  using stack = new DisposableStack();
  const programs = new Map<string, Program>();
  for (const name of options.names) {
    const loaded = stack.use(loadOne(readObject(options.directory, name), options));
    for (const [program, handle] of loaded.programs) programs.set(program, handle);
  }
  const owned = stack.move();
  return {
    get(name) {
      const program = programs.get(name);
      if (program === undefined) throw new TypeError(`no program ${name} in ${options.names.join(', ')}`);
      return program;
    },
    list: () => [...programs.values()],
    [Symbol.dispose]: () => owned.dispose(),
  };
}

/** All programs of one object. */
export function loadOne(spec: ObjectSpec, options: LoadObjectsOptions): LoadedObject {
  // Each object has the variables that it uses, and no others.
  const own = new Set(spec.variables.map(({ name }) => name));
  const configuration = Object.entries(encodeConfiguration(options.configuration)).filter(([name]) => own.has(name));
  return loadObject(spec, {
    configuration: Object.fromEntries(configuration),
    maps: Object.fromEntries(options.maps),
    layouts: Object.values(mapDescriptors),
    ...(options.logDirectory === undefined ? {} : { logDirectory: options.logDirectory }),
  });
}
