import { globSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { createFakeMap, type TypedMap } from '@sluice/bpf';
import { type Backend, backendsMap, frontendsMap, maglevMap, slotsMap, sourceRangesMap } from '@sluice/datapath';
import {
  type EndpointSliceObject,
  objectKey,
  parseEndpointSlice,
  parseService,
  type ServiceObject,
} from '@sluice/kube';
import { protocolName, protocolNumbers } from '@sluice/model';
import { parseAddress } from '@sluice/net';
import { silentLogger } from '@sluice/runtime';
import { printTable, Table } from '@sluice/state';
import { runScenario, type ScenarioVerb } from '@sluice/testing';
import { parseAllDocuments } from 'yaml';
import { keyOf } from './frontend.ts';
import { type LoadBalancer, startLoadBalancer } from './load-balancer.ts';

const directory = join(import.meta.dirname, '../scenarios');

for (const path of globSync('*.scenario', { cwd: directory })) {
  test(`scenario ${basename(path, '.scenario').replaceAll('-', ' ')}`, async () => {
    await using world = new World();
    await runScenario(join(directory, path), world.verbs);
  });
}

/** An API server's objects, an agent's load balancer and the kernel's maps. */
class World implements AsyncDisposable {
  readonly #maps = {
    frontends: createFakeMap(frontendsMap),
    slots: createFakeMap(slotsMap),
    backends: createFakeMap(backendsMap),
    sourceRanges: createFakeMap(sourceRangesMap),
    maglev: createFakeMap(maglevMap),
  };
  readonly #objects = new Map<string, unknown>();
  #services = servicesTable();
  #slices = slicesTable();
  #balancer: LoadBalancer = this.#start();

  readonly verbs: Readonly<Record<string, ScenarioVerb>> = {
    apply: async ({ body }) => this.#change(() => this.#apply(body)),
    delete: async ({ args: [key] }) => this.#change(() => void this.#objects.delete(key ?? '')),
    restart: async () => this.#restart(),
    show: () => printTable(this.#balancer.frontends).replaceAll(/[ \t]+$/gm, ''),
    walk: ({ args: [frontend] }) => this.#walk(frontend ?? ''),
    counts: () =>
      Object.entries(this.#maps)
        .map(([name, map]) => `${name} ${map.count()}`)
        .join('\n'),
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#balancer[Symbol.asyncDispose]();
  }

  #start(): LoadBalancer {
    return startLoadBalancer({
      viewpoint: { nodeName: 'node-1', externalIps: true },
      services: this.#services,
      endpointSlices: this.#slices,
      maps: this.#maps,
      maglev: { tableSize: 251, seed: 0x24b7_ef82 },
      log: silentLogger,
    });
  }

  #apply(body: string): void {
    for (const document of parseAllDocuments(body)) {
      const object = document.toJS() as { kind: string; metadata: { namespace: string; name: string } };
      this.#objects.set(`${object.kind}/${objectKey(object.metadata)}`, object);
    }
  }

  async #change(make: () => void): Promise<undefined> {
    make();
    this.#list();
    await this.#balancer.reconciler.flush();
  }

  #list(): void {
    const ofKind = (kind: string): unknown[] =>
      [...this.#objects].filter(([key]) => key.startsWith(`${kind}/`)).map(([, object]) => object);
    this.#services.replaceAll(ofKind('Service').map(parseService));
    this.#services.markInitialized('api');
    this.#slices.replaceAll(ofKind('EndpointSlice').map(parseEndpointSlice));
    this.#slices.markInitialized('api');
  }

  async #restart(): Promise<undefined> {
    await this.#balancer[Symbol.asyncDispose]();
    this.#services = servicesTable();
    this.#slices = slicesTable();
    this.#balancer = this.#start();
    return this.#change(() => undefined);
  }

  /** What the socket program would choose from. */
  #walk(frontend: string): string {
    const match = /^\[?([^\]]+?)\]?:(\d+)\/(TCP|UDP)$/.exec(frontend);
    if (match === null) throw new Error(`walk: ${frontend} is no frontend such as 10.96.0.1:80/TCP`);
    const [, address = '', port, protocol] = match;
    const key = { address: parseAddress(address), port: Number(port), scope: 0 };
    const value = this.#maps.frontends.lookup({
      ...key,
      protocol: protocolNumbers[protocol === 'UDP' ? 'UDP' : 'TCP'],
    });
    if (value === undefined) return 'not a frontend: goes on untranslated';
    if (value.backendCount === 0) return 'no backend: refused';
    return Array.from({ length: value.backendCount }, (_, slot) => {
      const found = this.#maps.slots.lookup({ serviceId: value.serviceId, generation: value.generation, slot });
      return found === undefined ? 'EMPTY SLOT' : backendText(this.#maps.backends, found.backendId);
    }).join('\n');
  }
}

function backendText(backends: TypedMap<number, Backend>, id: number): string {
  const backend = backends.lookup(id);
  if (backend === undefined) return `NO BACKEND ${id}`;
  return keyOf(backend, protocolName(backend.protocol));
}

function servicesTable(): Table<ServiceObject> {
  return new Table<ServiceObject>({ name: 'services', key: objectKey, columns: {}, sources: ['api'] });
}

function slicesTable(): Table<EndpointSliceObject> {
  const service = (row: EndpointSliceObject): string[] =>
    row.serviceName === undefined ? [] : [`${row.namespace}/${row.serviceName}`];
  return new Table({ name: 'endpoint-slices', key: objectKey, columns: {}, sources: ['api'], indexes: { service } });
}
