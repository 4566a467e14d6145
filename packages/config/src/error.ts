export interface ConfigProblem {
  /** `ipam.operator.clusterPoolIPv4MaskSize`; empty where the file as a whole is meant. */
  readonly path: string;
  /** From 1; 0 where no line is to blame. */
  readonly line: number;
  readonly message: string;
}

/** The values cannot be used. Lists every problem, not only the first. */
/** A file of something else has thousands. */
const problemsToldMax = 20;

export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly source: string;
  readonly problems: readonly ConfigProblem[];

  constructor(source: string, problems: readonly ConfigProblem[]) {
    const lines = problems.slice(0, problemsToldMax).map((problem) => formatProblem(source, problem));
    const rest = problems.length - lines.length;
    super([...lines, ...(rest > 0 ? [`${source}: and ${rest} problems more`] : [])].join('\n'));
    this.source = source;
    this.problems = problems;
  }
}

function formatProblem(source: string, { path, line, message }: ConfigProblem): string {
  const place = line > 0 ? `${source}:${line}` : source;
  return path === '' ? `${place}: ${message}` : `${place}: ${path}: ${message}`;
}
