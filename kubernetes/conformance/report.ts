/** What a run of the upstream tests has told: the report that ginkgo writes, cut down to what we show. */

export interface SpecResult {
  readonly name: string;
  readonly status: 'passed' | 'failed' | 'skipped';
  readonly seconds: number;
  /** Why it failed, or why the test itself did not want to run here. */
  readonly reason: string;
}

interface ReportedSpec {
  readonly LeafNodeType: string;
  readonly LeafNodeText: string;
  readonly ContainerHierarchyTexts: readonly string[] | null;
  readonly State: string;
  /** Nanoseconds. */
  readonly RunTime: number;
  readonly Failure?: { readonly Message?: string };
}

interface ReportedSuite {
  readonly SpecReports: readonly ReportedSpec[] | null;
}

export interface Report {
  /** Every case of the suite, run or not. */
  readonly names: readonly string[];
  /** Those that were to run. What ran and skipped itself is among them, with its reason. */
  readonly results: readonly SpecResult[];
  /** What failed outside of the cases: the preparation of the suite. */
  readonly failedNodes: readonly SpecResult[];
}

export function readReport(json: string): Report {
  const specs = (JSON.parse(json) as readonly ReportedSuite[]).flatMap(({ SpecReports }) => SpecReports ?? []);
  const cases = specs.filter(({ LeafNodeType }) => LeafNodeType === 'It');
  const others = specs.filter(({ LeafNodeType }) => LeafNodeType !== 'It');
  return {
    names: cases.map(nameOf),
    results: cases.filter(wasChosen).map(resultOf),
    failedNodes: others.map(resultOf).filter(({ status }) => status === 'failed'),
  };
}

function nameOf({ ContainerHierarchyTexts, LeafNodeText, LeafNodeType }: ReportedSpec): string {
  return [...(ContainerHierarchyTexts ?? []), LeafNodeText === '' ? `[${LeafNodeType}]` : LeafNodeText].join(' ');
}

/** What our patterns leave out is reported as skipped, too, but without a word. */
function wasChosen({ State, Failure }: ReportedSpec): boolean {
  return State !== 'pending' && !(State === 'skipped' && !Failure?.Message);
}

function resultOf(spec: ReportedSpec): SpecResult {
  const status = spec.State === 'passed' || spec.State === 'skipped' ? spec.State : 'failed';
  const reason = status === 'passed' ? '' : (spec.Failure?.Message ?? spec.State);
  return { name: nameOf(spec), status, seconds: spec.RunTime / 1e9, reason };
}
