import type { Agent } from '../agent.ts';
import { mapUsage } from '../map-usage.ts';
import { moduleReports } from '../modules.ts';
import type { MapUsage, StatusReport } from '../report.ts';
import { counterReport } from '../status.ts';

/** The agent as one scrape sees it: what several metrics are made of is read once, and not before it is needed. */
export class MetricsSource {
  readonly agent: Agent;
  #maps: readonly MapUsage[] | undefined;
  #programs: ReturnType<typeof readPrograms> | undefined;
  #packets: ReturnType<typeof counterReport> | undefined;

  constructor(agent: Agent) {
    this.agent = agent;
  }

  get maps(): readonly MapUsage[] {
    this.#maps ??= mapUsage(this.agent.datapath);
    return this.#maps;
  }

  get programs() {
    this.#programs ??= readPrograms(this.agent);
    return this.#programs;
  }

  get packets(): ReturnType<typeof counterReport> {
    this.#packets ??= counterReport(this.agent);
    return this.#packets;
  }

  get modules(): StatusReport['modules'] {
    const links = this.agent.datapath?.links() ?? [];
    return moduleReports(this.agent, { links, maps: this.maps });
  }
}

function readPrograms({ datapath }: Agent) {
  const runs = new Map(datapath?.programRuns().map((each) => [each.id, each]));
  return (datapath?.programUsage() ?? []).map((program) => ({ ...program, runs: runs.get(program.id) }));
}
