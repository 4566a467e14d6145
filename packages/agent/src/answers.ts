import type { Agent } from './agent.ts';
import { listConnections } from './connection-list.ts';
import { explainConnection } from './explain/explain-connection.ts';
import { explainQuestion } from './explain/question.ts';
import { explainSources } from './explain/sources.ts';
import { identityRows, ipListRows } from './identity-rows.ts';
import type { Answer, Stream } from './local-api.ts';
import { mapUsage } from './map-usage.ts';
import { monitorQuery } from './monitor.ts';
import { pageOf } from './page.ts';
import { knownParameters } from './query.ts';
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
    identities: (url) => pageOf(identityRows(agent), url),
    ips: (url) => pageOf(ipListRows(agent), url),
    maps: () => mapUsage(agent.datapath),
    connections: (url) => connectionsAnswer(agent, url),
    explain: (url) => explainConnection(explainQuestion(url.searchParams), explainSources(agent)),
    events: (url) => agent.monitor.recent(monitorQuery(url.searchParams)),
    programs: () => agent.datapath?.programUsage() ?? [],
    config: () => ({ values: agent.values, warnings: agent.warnings }),
    metrics: () => agent.metrics.gather(),
    version: () => ({ version: agent.version }),
  };
}

export function agentStreams(agent: Agent): Readonly<Record<string, Stream>> {
  return { monitor: (url, send) => agent.monitor.follow(monitorQuery(url.searchParams), send) };
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

function tableAnswer(agent: Agent, url: URL): unknown {
  const name = decodeURIComponent(url.pathname.split('/')[2] ?? '');
  const tables = agent.tables();
  if (name === '') return tables.map((table) => ({ name: table.name, rows: table.size }));
  return tables.find((table) => table.name === name)?.report();
}
