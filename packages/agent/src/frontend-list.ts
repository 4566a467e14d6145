/** The table of frontends with what Services and EndpointSlices say of each, looked up when it is shown. */
import type { ServiceObject, TrafficPolicy } from '@sluice/kube';
import { type FrontendRow, type LoadBalancer, reasonsText, type SeenEndpoint } from '@sluice/loadbalancer';
import type { Table } from '@sluice/state';
import { type ShownTable, shownTable } from './table-reports.ts';

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
  const shown = shownTable(frontends);
  const place = Object.keys(frontends.columns).indexOf('Not Used');
  return {
    name: shown.name,
    get size() {
      return shown.size;
    },
    *lines() {
      for (const line of shown.lines()) {
        if (!('row' in line)) {
          yield line;
          continue;
        }
        const row = reportOf(line.row as FrontendRow, { services, loadBalancer });
        const why = reasonsText(row.unusedEndpoints.flatMap((each) => each.why ?? []));
        yield { cells: line.cells.with(place, why), row };
      }
    },
  };
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
