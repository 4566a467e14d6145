/**
 * HTTP servers at the healthCheckNodePorts of services, as kube-proxy has them. They follow the tables of Services and
 * EndpointSlices; none listens before both are known, for it would send a balancer away.
 */
import type { EndpointSliceObject, ServiceObject } from '@sluice/kube';
import { type Clock, type JsonAnswer, JsonServer, type Logger } from '@sluice/runtime';
import { Table } from '@sluice/state';
import { type HealthCheck, healthCheckOf } from './health-checks.ts';

export interface HealthCheckRow extends HealthCheck {
  /** Why the port does not answer; undefined: it does. */
  readonly problem: string | undefined;
}

export interface HealthCheckOptions {
  readonly services: Table<ServiceObject>;
  readonly endpointSlices: Table<EndpointSliceObject>;
  readonly nodeName: string | undefined;
  /** Whether the kernel has what the API says. */
  readonly isHealthy: () => boolean;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface HealthCheckServers extends AsyncDisposable {
  readonly checks: Table<HealthCheckRow>;
}

export function startHealthChecks(options: HealthCheckOptions): HealthCheckServers {
  const { services, endpointSlices } = options;
  const servers = new Servers(options);
  let known = false;
  const derive = (names: Iterable<string>): void => {
    if (!known) return;
    for (const name of names) {
      const service = services.get(name);
      const wanted = service && healthCheckOf(service, endpointSlices.by('service', name), options.nodeName);
      servers.update(name, wanted);
    }
  };
  const begin = (): void => {
    if (known || !services.initialized || !endpointSlices.initialized) return;
    known = true;
    derive(services.keys());
    servers.checks.markInitialized('kubernetes');
  };
  const onServices = services.subscribe((changes) => {
    // A port that one service gives up may be what another one takes.
    derive(changes.map(({ key }) => key).sort((a, b) => servers.rank(a) - servers.rank(b)));
    begin();
  });
  const onSlices = endpointSlices.subscribe((changes) => {
    const slices = changes.flatMap(({ before, after }) => [before, after]);
    derive(new Set(slices.flatMap((slice) => (slice?.serviceName ? [`${slice.namespace}/${slice.serviceName}`] : []))));
    begin();
  });
  begin();
  return {
    checks: servers.checks,
    [Symbol.asyncDispose]: async () => {
      onServices[Symbol.dispose]();
      onSlices[Symbol.dispose]();
      await servers.stop();
    },
  };
}

class Servers {
  readonly checks = healthCheckTable();
  readonly #options: HealthCheckOptions;
  readonly #servers = new Map<string, JsonServer>();
  /** Connections of those that were stopped. */
  readonly #ending = new Set<Promise<void>>();

  constructor(options: HealthCheckOptions) {
    this.#options = options;
  }

  /** Services that have a port come before those that want one. */
  rank(name: string): number {
    return this.#servers.has(name) ? 0 : 1;
  }

  update(name: string, wanted: HealthCheck | undefined): void {
    const row = this.checks.get(name);
    if (row !== undefined && row.port !== wanted?.port) this.#end(name);
    if (wanted === undefined) return;
    const server = this.#servers.get(name);
    this.checks.upsert({ ...wanted, problem: server ? server.problem : 'starting' });
    if (server === undefined) this.#begin(name, wanted.port);
  }

  async stop(): Promise<void> {
    for (const name of [...this.#servers.keys()]) this.#end(name);
    await Promise.all(this.#ending);
  }

  #begin(name: string, port: number): void {
    const { clock } = this.#options;
    const onProblem = (problem: string | undefined) => this.#tell(name, problem);
    const server = new JsonServer({ port, clock, onProblem, answer: () => this.#answer(name) });
    this.#servers.set(name, server);
    void server.start();
  }

  #end(name: string): void {
    const ending = this.#servers.get(name)?.stop() ?? Promise.resolve();
    this.#ending.add(ending);
    void ending.finally(() => this.#ending.delete(ending));
    this.#servers.delete(name);
    this.checks.delete(name);
  }

  #tell(name: string, problem: string | undefined): void {
    const row = this.checks.get(name);
    if (row === undefined) return;
    if (problem !== undefined) this.#options.log.warn({ service: name, problem }, 'the health check is not answered');
    this.checks.upsert({ ...row, problem });
  }

  #answer(name: string): JsonAnswer {
    const { isHealthy } = this.#options;
    const [namespace, ...rest] = name.split('/');
    const localEndpoints = this.checks.get(name)?.localEndpoints ?? 0;
    const serviceProxyHealthy = isHealthy();
    return {
      status: localEndpoints > 0 && serviceProxyHealthy ? 200 : 503,
      headers: { 'X-Load-Balancing-Endpoint-Weight': String(localEndpoints) },
      body: { service: { namespace, name: rest.join('/') }, localEndpoints, serviceProxyHealthy },
    };
  }
}

function healthCheckTable(): Table<HealthCheckRow> {
  return new Table<HealthCheckRow>({
    name: 'health-checks',
    key: (row) => row.service,
    sources: ['kubernetes'],
    columns: {
      Service: (row) => row.service,
      Port: (row) => String(row.port),
      'Local Endpoints': (row) => String(row.localEndpoints),
      Status: (row) => row.problem ?? 'done',
    },
  });
}
