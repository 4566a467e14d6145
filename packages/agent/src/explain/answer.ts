import type { Agent } from '../agent.ts';
import { QueryError, secondPart } from '../query.ts';
import type { ExplainReport, ServiceExplainReport } from '../report.ts';
import { explainConnection } from './explain-connection.ts';
import { explainService } from './explain-service.ts';
import { explainQuestion } from './question.ts';
import { serviceQuestion } from './service-question.ts';
import { explainSources } from './sources.ts';

/** `GET /explain`, of a connection, and `GET /explain/service` */
export function explainAnswer(agent: Agent, url: URL): ExplainReport | ServiceExplainReport {
  const sources = explainSources(agent);
  const what = secondPart(url);
  if (what === 'service') return explainService(serviceQuestion(url.searchParams, sources), sources);
  if (what !== '') throw new QueryError(`/explain/${what}: there are /explain and /explain/service`);
  return explainConnection(explainQuestion(url.searchParams), sources);
}
