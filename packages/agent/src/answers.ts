import type { Agent } from './agent.ts';
import { backendFilter, backendRows } from './backend-list.ts';
import { configReport } from './config-report.ts';
import { listConnections } from './connection-list.ts';
import { identityRows, ipListRows } from './identity-rows.ts';
import type { Answer, Stream } from './local-api.ts';
import { maglevFilter, maglevRows } from './maglev-list.ts';
import { dumpMap } from './map-dump.ts';
import { mapUsage } from './map-usage.ts';
import { natPortsBeside } from './nat-ports.ts';
import { listNatPorts } from './nat-ports-list.ts';
import { paced } from './paced.ts';
import { measuredPrograms } from './program-measure.ts';
import { knownParameters, secondPart, wholeParameter } from './query.ts';
import { statusReport } from './status.ts';
import { trafficFilter, trafficParameters } from './traffic.ts';

/** What the local API answers, by the first part of the path. */
export function agentAnswers(agent: Agent): Readonly<Record<string, Answer>> {
  return {
    healthz: () => ({ ready: agent.endpoints !== undefined, why: agent.nodes.problem }),
    status: async () => {
      await agent.apiFacts.recount();
      return statusReport(agent);
    },
    tables: (url) => tableAnswer(agent, url),
    identities: () => paced(identityRows(agent)),
    ips: () => paced(ipListRows(agent)),
    backends: (url) => paced(backendRows(agent, backendFilter(url.searchParams))),
    maps: (url) => mapsAnswer(agent, url),
    maglev: (url) => maglevAnswer(agent, url),
    connections: (url) => connectionsAnswer(agent, url),
    'nat-ports': (url) => natPortsAnswer(agent, url),
    // Loaded when it is first asked, as the programs are: most agents never are.
    explain: async (url) => (await import('./explain/answer.ts')).explainAnswer(agent, url),
    events: (url) => agent.monitor.recent(agent.monitor.query(url.searchParams)),
    programs: (url) => (agent.datapath ? measuredPrograms(agent.datapath, url.searchParams) : []),
    config: () => configReport(agent),
    metrics: () => agent.metrics.gather(),
    version: () => ({ version: agent.version }),
  };
}

export function agentStreams(agent: Agent): Readonly<Record<string, Stream>> {
  return { monitor: (url, send) => agent.monitor.follow(agent.monitor.query(url.searchParams), send) };
}

function connectionsAnswer(agent: Agent, url: URL): unknown {
  const query = knownParameters(url.searchParams, ['translated', ...trafficParameters]);
  const filter = trafficFilter(query);
  const maps = agent.datapath?.maps;
  if (!maps) throw new Error(agent.nodes.problem ?? 'the datapath is not open yet');
  return listConnections({
    maps,
    filter,
    nameOf: agent.nameOf,
    monotonicNs: () => process.hrtime.bigint(),
    isTranslated: query.get('translated') === 'true',
  });
}

function natPortsAnswer({ datapath, nodes, values, nameOf }: Agent, url: URL): unknown {
  const limit = wholeParameter(knownParameters(url.searchParams, ['limit']), 'limit');
  if (!datapath) throw new Error(nodes.problem ?? 'the datapath is not open yet');
  const natPorts = natPortsBeside(values.nodePort.range);
  return listNatPorts({ maps: datapath.maps, natPorts, nameOf, monotonicNs: () => process.hrtime.bigint(), limit });
}

function maglevAnswer({ datapath, loadBalancer, nodes }: Agent, url: URL): unknown {
  const filter = maglevFilter(url.searchParams);
  if (!datapath) throw new Error(nodes.problem ?? 'the datapath is not open yet');
  return paced(maglevRows({ maps: datapath.maps, frontends: loadBalancer?.frontends.list() ?? [], filter }));
}

/** `/maps`, or the entries of one: `/maps/conntrack?limit=100&per-cpu=true`. */
function mapsAnswer({ datapath, nodes }: Agent, url: URL): unknown {
  const name = secondPart(url);
  if (name === '') return mapUsage(datapath);
  if (!datapath) throw new Error(nodes.problem ?? 'the datapath is not open yet');
  const query = knownParameters(url.searchParams, ['limit', 'per-cpu']);
  const limit = wholeParameter(query, 'limit') ?? Infinity;
  return dumpMap({ datapath, name, limit, isPerCpu: query.get('per-cpu') === 'true' });
}

function tableAnswer(agent: Agent, url: URL): unknown {
  const name = secondPart(url);
  const tables = agent.tables();
  if (name === '') return tables.map((table) => ({ name: table.name, rows: table.size }));
  const found = tables.find((table) => table.name === name);
  return found && paced(found.lines(url.searchParams));
}
