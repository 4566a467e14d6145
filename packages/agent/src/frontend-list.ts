/** The table of frontends with what Services and EndpointSlices say of each, looked up when it is shown. */
import type { ServiceObject, TrafficPolicy } from '@sluice/kube';
import { type FrontendRow, type LoadBalancer, reasonsText, type SeenEndpoint } from '@sluice/loadbalancer';
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
}

export interface FrontendSources {
  readonly services: Pick<Table<ServiceObject>, 'get'>;
  readonly loadBalancer: Pick<LoadBalancer, 'frontends' | 'endpointsOf'>;
}

export function shownFrontends({ services, loadBalancer }: FrontendSources): ShownTable {
  const { frontends } = loadBalancer;
  const place = Object.keys(frontends.columns).indexOf('Not Used');
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
      const row = reportOf(frontend, { services, loadBalancer });
      const why = reasonsText(row.unusedEndpoints.flatMap((each) => each.why ?? []));
      yield { cells: line.cells.with(place, why), row };
    }
  }
}

function reportOf(row: FrontendRow, { services, loadBalancer }: FrontendSources): FrontendReport {
  const service = services.get(row.service);
  const isOutside = service !== undefined && (service.type !== 'ClusterIP' || service.externalIps.length > 0);
  return {
    ...row,
    internalTrafficPolicy: service?.internalTrafficPolicy,
    externalTrafficPolicy: isOutside ? service.externalTrafficPolicy : undefined,
    unusedEndpoints: loadBalancer.endpointsOf(row).filter(({ why }) => why !== undefined),
  };
}
