import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { type Clock, recordingLogger } from '@sluice/runtime';
import { Table } from '@sluice/state';
import {
  createKubeClient,
  type KubeClient,
  type KubeLimits,
  parseService,
  type Reflector,
  reflector,
  resources,
  type ServiceObject,
} from '../index.ts';
import { FakeApi } from './fake-api.ts';

/** A reflector of services with all that is around it. */
export interface ReflectedServices {
  readonly api: FakeApi;
  readonly client: KubeClient;
  readonly table: Table<ServiceObject>;
  readonly reflector: Reflector;
  readonly lines: readonly { level: string; message: string; fields: object }[];
  /** Resolves when the condition holds. */
  until(condition: () => boolean): Promise<void>;
}

export interface ReflectedServicesOptions {
  /** Default: one. */
  readonly apis?: readonly FakeApi[];
  /** Services that are there from the beginning. */
  readonly names?: readonly string[];
  readonly limits?: Partial<KubeLimits>;
  readonly optional?: boolean;
  /** Of the client and the reflector; default: the reflector's pauses take a hundredth, the client's time is real. */
  readonly clock?: Clock;
  /** Default: the shortest of each delay, so that a test need not wait for jitter. */
  readonly random?: () => number;
}

export async function reflectServices(
  t: TestContext,
  options: ReflectedServicesOptions = {},
): Promise<ReflectedServices> {
  const apis = options.apis ?? [await FakeApi.start()];
  const [api] = apis;
  assert.ok(api);
  for (const name of options.names ?? []) api.store.put('services', service(name));
  const log = recordingLogger();
  const client = createKubeClient({
    servers: apis.map(({ url }) => url),
    log,
    limits: { probeMs: 20, ...options.limits },
    ...(options.clock && { clock: options.clock }),
  });
  const table = serviceTable();
  const subject = reflector({
    client,
    resource: resources.services,
    parse: parseService,
    table,
    source: 'services',
    optional: options.optional ?? false,
    log,
    random: options.random ?? (() => 0.999),
    clock: options.clock ?? impatientClock,
  });
  t.after(async () => {
    await subject.stop();
    client.close();
    for (const each of apis) await each.stop();
  });
  subject.start();
  return { api, client, table, reflector: subject, lines: log.lines, until: (condition) => eventually(condition) };
}

export function serviceTable(): Table<ServiceObject> {
  return new Table<ServiceObject>({
    name: 'services',
    key: ({ namespace, name }) => `${namespace}/${name}`,
    columns: { Name: ({ name }) => name },
    sources: ['services'],
  });
}

export function service(name: string, port: unknown = 80): Record<string, unknown> {
  return { metadata: { name, namespace: 'default' }, spec: { clusterIP: '10.96.0.1', ports: [{ port }] } };
}

export function names(table: Table<ServiceObject>): string {
  const all = table.list().map(({ name }) => name);
  return all.sort().join(' ');
}

/** Real time that goes so many times as fast. */
export function hurriedClock(times: number): Clock {
  return {
    now: () => Date.now(),
    monotonicNs: () => process.hrtime.bigint() * BigInt(times),
    setTimeout(callback: () => void, delayMs: number) {
      const handle = setTimeout(callback, delayMs / times);
      const cancel = () => clearTimeout(handle);
      return { cancel, [Symbol.dispose]: cancel };
    },
  };
}

export const impatientClock: Clock = hurriedClock(100);

// The test runner's own limit ends what never comes.
export async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}
