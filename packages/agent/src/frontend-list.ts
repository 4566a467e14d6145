/** The table of frontends with what Services and EndpointSlices say of each, looked up when it is shown. */
import type { ServiceObject, TrafficPolicy } from '@sluice/kube';
import { type FrontendRow, type LoadBalancer, reasonsText, type SeenEndpoint } from '@sluice/loadbalancer';
import { type Address, familyOf } from '@sluice/net';
import type { Table } from '@sluice/state';
import { knownParameters } from './query.ts';
import type { TableHead, TableLine } from './report.ts';
import { type ServiceFilter, serviceFilter, serviceParameters } from './service-filter.ts';
import { type ShownTable, tableLines } from './table-reports.ts';

/** A frontend as `sluice service list` tells it. */
export interface FrontendReport extends FrontendRow {
  /** Of the Service; undefined: there is none. */
  readonly internalTrafficPolicy: TrafficPolicy | undefined;
  /** The same, and nobody outside knows of it. */
  readonly externalTrafficPolicy: TrafficPolicy | undefined;
  readonly unusedEndpoints: readonly SeenEndpoint[];
  /** A NodePort that no address of this node has: nodePort.addresses names none of its family. */
  readonly lacksAddress: boolean;
}

export interface FrontendSources {
  readonly services: Pick<Table<ServiceObject>, 'get'>;
  readonly loadBalancer: Pick<LoadBalancer, 'frontends' | 'endpointsOf'>;
  readonly nodePortAddresses: () => { readonly served: readonly Address[] };
}

export function shownFrontends(sources: FrontendSources): ShownTable {
  const { frontends } = sources.loadBalancer;
  const columns = Object.keys(frontends.columns);
  const [unused, status] = [columns.indexOf('Not Used'), columns.indexOf('Status')];
  return {
    name: frontends.name,
    get size() {
      return frontends.size;
    },
    lines(query) {
      const isWanted = serviceFilter(knownParameters(query, serviceParameters));
      return told(isWanted);
    },
  };

  function* told(isWanted: ServiceFilter): Generator<TableHead | TableLine> {
    for (const line of tableLines(frontends)) {
      if (!('row' in line)) {
        yield line;
        continue;
      }
      const frontend = line.row as FrontendRow;
      if (!isWanted([frontend.service])) continue;
      const row = reportOf(frontend, sources);
      const why = reasonsText(row.unusedEndpoints.flatMap((each) => each.why ?? []));
      const lacking = row.lacksAddress ? ', at no address of this node (nodePort.addresses)' : '';
      yield { cells: line.cells.with(unused, why).with(status, `${line.cells[status] ?? ''}${lacking}`), row };
    }
  }
}

function reportOf(row: FrontendRow, { services, loadBalancer, nodePortAddresses }: FrontendSources): FrontendReport {
  const service = services.get(row.service);
  const isOutside = service !== undefined && (service.type !== 'ClusterIP' || service.externalIps.length > 0);
  return {
    ...row,
    internalTrafficPolicy: service?.internalTrafficPolicy,
    externalTrafficPolicy: isOutside ? service.externalTrafficPolicy : undefined,
    unusedEndpoints: loadBalancer.endpointsOf(row).filter(({ why }) => why !== undefined),
    lacksAddress: lacksAddress(row, nodePortAddresses),
  };
}

/** One row stands for all addresses of a family; the one at the loopback is none of them. */
function lacksAddress({ key, type }: FrontendRow, addresses: FrontendSources['nodePortAddresses']): boolean {
  const family = key.startsWith('0.0.0.0:') ? 4 : key.startsWith('[::]:') ? 6 : undefined;
  if (type !== 'NodePort' || family === undefined) return false;
  return !addresses().served.some((address) => familyOf(address) === family);
}
