import { type BackendState, backendStateNames } from '@sluice/datapath';
import type { FrontendRow } from '@sluice/loadbalancer';
import { protocolName } from '@sluice/model';
import { formatAddressPort, parseAddress } from '@sluice/net';
import type { Agent } from './agent.ts';
import { knownParameters } from './query.ts';
import type { BackendReport } from './report.ts';
import { type ServiceFilter, serviceFilter, serviceParameters } from './service-filter.ts';

export function backendFilter(query: URLSearchParams): ServiceFilter {
  return serviceFilter(knownParameters(query, serviceParameters));
}

/** Backends as the kernel has them, and those that frontends want and it has not; with who uses them. */
export function* backendRows(
  { datapath, loadBalancer }: Pick<Agent, 'datapath' | 'loadBalancer'>,
  isWanted: ServiceFilter,
): Generator<BackendReport> {
  const wanted = usersOf(loadBalancer?.frontends.list() ?? []);
  for (const [id, { address, port, protocol, state }] of datapath?.maps.backends.entries() ?? []) {
    const backend = `${formatAddressPort(address ?? unspecified, port)}/${protocolName(protocol)}`;
    const use = wanted.get(backend);
    wanted.delete(backend);
    if (!isWanted(use?.services ?? [])) continue;
    yield {
      id,
      backend,
      state: backendStateNames[state as BackendState] ?? String(state),
      ...usage(use),
      problem: use === undefined ? 'no frontend uses it: it goes once no connection needs it' : undefined,
    };
  }
  for (const [backend, use] of wanted) {
    if (!isWanted(use.services)) continue;
    yield {
      id: undefined,
      backend,
      state: use.state,
      ...usage(use),
      problem: use.problem ?? 'the kernel does not have it (yet)',
    };
  }
}

interface Use {
  readonly state: string;
  readonly node: string | undefined;
  readonly zone: string | undefined;
  readonly services: Set<string>;
  instances: number;
  problem: string | undefined;
}

function usersOf(frontends: readonly FrontendRow[]): Map<string, Use> {
  const uses = new Map<string, Use>();
  for (const { service, portName, backends, reason } of frontends) {
    for (const { key, state, nodeName, zone } of backends) {
      const use = uses.get(key) ?? {
        state,
        node: nodeName,
        zone,
        services: new Set(),
        instances: 0,
        problem: undefined,
      };
      use.services.add(portName === '' ? service : `${service}:${portName}`);
      use.instances += 1;
      use.problem ??= reason;
      uses.set(key, use);
    }
  }
  return uses;
}

function usage(use: Use | undefined): Pick<BackendReport, 'node' | 'zone' | 'services' | 'instances'> {
  return {
    node: use?.node ?? '',
    zone: use?.zone ?? '',
    services: [...(use?.services ?? [])],
    instances: use?.instances ?? 0,
  };
}

const unspecified = parseAddress('::');
