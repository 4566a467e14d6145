import type { Agent } from '../agent.ts';
import type { ExplainReport } from '../report.ts';
import { explainConnection } from './explain-connection.ts';
import { explainQuestion } from './question.ts';
import { explainSources } from './sources.ts';

/** `GET /explain` */
export function explainAnswer(agent: Agent, url: URL): ExplainReport {
  return explainConnection(explainQuestion(url.searchParams), explainSources(agent));
}
