import type { Exclusion } from './exclusions.ts';

export interface ExcludedCase {
  readonly name: string;
  readonly reason: string;
}

export interface Selection {
  /** To run. */
  readonly names: readonly string[];
  readonly excluded: readonly ExcludedCase[];
  /** Patterns that match no case. */
  readonly outOfDate: readonly string[];
}

/** Which of these cases run, by the rules. */
export function select(all: readonly string[], exclusions: readonly Exclusion[]): Selection {
  const rules = exclusions.map(({ pattern, reason }) => ({ pattern, reason, isMeant: matching(pattern) }));
  const ruled = all.map((name) => ({ name, rule: rules.find(({ isMeant }) => isMeant(name)) }));
  return {
    names: ruled.filter(({ rule }) => rule === undefined).map(({ name }) => name),
    excluded: ruled.flatMap(({ name, rule }) => (rule ? [{ name, reason: rule.reason }] : [])),
    outOfDate: rules.filter(({ isMeant }) => !all.some(isMeant)).map(({ pattern }) => pattern),
  };
}

/** One expression for ginkgo, whose syntax (RE2) is a subset of ours as far as these rules go. */
export function skipPattern(exclusions: readonly Exclusion[]): string {
  return exclusions.map(({ pattern }) => pattern).join('|');
}

function matching(pattern: string): (name: string) => boolean {
  const expression = new RegExp(pattern);
  return (name) => expression.test(name);
}
