import assert from 'node:assert/strict';
import { parseAllDocuments } from 'yaml';
import { helm } from './helm.ts';

export const homelab = ['--namespace', 'kube-system', '--values', 'examples/homelab/values.yaml'] as const;

export interface Rendered {
  readonly text: string;
  // An object of Kubernetes of any kind, as a test looks at it.
  // biome-ignore lint/suspicious/noExplicitAny: the shape differs with each kind, and a wrong path fails the test
  readonly objects: readonly any[];
}

/** What `helm template` makes of the chart. */
export async function rendered(...args: readonly string[]): Promise<Rendered> {
  const { code, stdout, stderr } = await helm('template', 'sluice', 'charts/sluice', ...args);
  assert.equal(code, 0, stderr);
  return { text: stdout, objects: parseAllDocuments(stdout).map((document) => document.toJS()) };
}
