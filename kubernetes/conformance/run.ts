/** Runs the upstream tests in the cluster and holds the result against the rules. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { kubectlJson, must, recipe, root, run, runFolder } from '../cluster.ts';
import { type Exclusion, exclusions } from './exclusions.ts';
import { conformancePage } from './page.ts';
import { type Report, readReport, type SpecResult } from './report.ts';
import { select, skipPattern } from './selection.ts';

const hoursMax = 2;

export interface ConformanceOptions {
  /** Only the cases of Conformance, which fit into the time of continuous integration; the page stays as it was. */
  readonly isSubset: boolean;
}

/** Prints what failed; gives whether all is well. */
export async function runConformance({ isSubset }: ConformanceOptions): Promise<boolean> {
  const report = await e2e(isSubset ? '\\[sig-network\\].*\\[Conformance\\]' : '\\[sig-network\\]', exclusions);
  const ours = report.names.filter((name) => name.startsWith('[sig-network]'));
  const selection = select(ours, exclusions);
  for (const pattern of selection.outOfDate)
    process.stdout.write(`conformance/exclusions.ts: ${pattern} matches no case: out of date\n`);
  const failed = [...report.failedNodes, ...report.results.filter(({ status }) => status === 'failed')];
  for (const result of failed) process.stdout.write(failureText(result));
  const passed = report.results.filter(({ status }) => status === 'passed').length;
  process.stdout.write(`${passed} passed, ${failed.length} failed, ${selection.excluded.length} left out\n`);
  if (!isSubset) await writePage(report, selection.excluded);
  return failed.length === 0 && passed > 0 && selection.outOfDate.length === 0;
}

async function e2e(focus: string, without: readonly Exclusion[]): Promise<Report> {
  const out = join(runFolder, 'e2e', new Date().toISOString().replaceAll(/\D/g, '').slice(0, 14));
  const options = { environment: { OUT: out, PROCS: process.env.PROCS ?? '6' }, timeoutMs: hoursMax * 3_600_000 };
  const { stderr } = await run(join(recipe, 'e2e.sh'), [focus, skipPattern(without)], options);
  try {
    return readReport(readFileSync(join(out, 'report.json'), 'utf8'));
  } catch (cause) {
    throw new Error(`e2e.test told nothing: ${stderr} (${join(out, 'e2e.log')})`, { cause });
  }
}

function failureText({ name, reason }: SpecResult): string {
  return `not ok: ${name}\n  ${reason.slice(0, 1000).replaceAll('\n', '\n  ')}\n`;
}

async function writePage(report: Report, excluded: ReturnType<typeof select>['excluded']): Promise<void> {
  const { items } = await kubectlJson<{
    items: {
      status: { nodeInfo: { kubeletVersion: string; containerRuntimeVersion: string; kernelVersion: string } };
    }[];
  }>('get', 'nodes');
  const info = items[0]?.status.nodeInfo;
  const commit = (await must('git', ['rev-parse', '--short', 'HEAD'])).trim();
  const page = conformancePage({
    date: new Date().toISOString().slice(0, 10),
    versions: [
      `Kubernetes ${info?.kubeletVersion}`,
      (info?.containerRuntimeVersion ?? '').replace('://', ' '),
      `Linux ${info?.kernelVersion}`,
      `Sluice ${commit}`,
    ],
    results: report.results,
    excluded,
  });
  writeFileSync(join(root, 'docs/conformance.md'), page);
}
