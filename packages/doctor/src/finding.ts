/** How bad it is: Sluice does not work, something will hurt, or it is worth knowing. */
export type Severity = 'error' | 'warning' | 'note';

/** One thing of this node that a person should know, and what to do about it. */
export interface Complaint {
  readonly severity: Severity;
  /** What was found. */
  readonly what: string;
  /** What comes of it. */
  readonly meaning: string;
  /** A command to type, or what to change. */
  readonly remedy: string;
}

export interface Finding extends Complaint {
  /** The check's name, such as `rp-filter`. */
  readonly check: string;
}

/** Looks at facts that were read before: it touches nothing itself. No complaint: all is well. */
export interface Check<Facts> {
  readonly name: string;
  readonly look: (facts: Facts) => readonly Complaint[];
}

export interface Diagnosis {
  /** Worst first. */
  readonly findings: readonly Finding[];
  /** Names of the checks that found nothing. */
  readonly well: readonly string[];
}

export function diagnose<Facts>(checks: readonly Check<Facts>[], facts: Facts): Diagnosis {
  const results = checks.map(({ name, look }) => ({ name, complaints: look(facts) }));
  return {
    findings: results.flatMap(({ name, complaints }) => complaints.map((complaint) => ({ check: name, ...complaint }))),
    well: results.filter(({ complaints }) => complaints.length === 0).map(({ name }) => name),
  };
}

const order: readonly Severity[] = ['error', 'warning', 'note'];

export function mergeDiagnoses(diagnoses: readonly Diagnosis[]): Diagnosis {
  const findings = diagnoses.flatMap((each) => each.findings);
  return {
    findings: order.flatMap((severity) => findings.filter((finding) => finding.severity === severity)),
    well: diagnoses.flatMap((each) => each.well),
  };
}
