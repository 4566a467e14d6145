/** For tests: a credential plugin, a shell script that keeps what it was asked, and the user of a kubeconfig that names it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const execGroup = 'client.authentication.k8s.io';

export interface TestPlugin {
  readonly user: object;
  /** What each run found in KUBERNETES_EXEC_INFO. */
  readonly questions: () => readonly ExecQuestion[];
}

export interface ExecQuestion {
  readonly apiVersion: string;
  readonly spec: { readonly interactive: boolean; readonly cluster?: Readonly<Record<string, unknown>> };
}

/** `say` is the script's own: it may use `$run`, the number of this run. */
export function testPlugin(folder: string, say: string, exec: object = {}): TestPlugin {
  const questions = join(folder, 'questions');
  writeFileSync(questions, '');
  const script = [
    '#!/bin/sh',
    `printf '%s\\n' "$KUBERNETES_EXEC_INFO" >> ${questions}`,
    `run=$(wc -l < ${questions})`,
    say,
  ];
  writeFileSync(join(folder, 'plugin'), `${script.join('\n')}\n`, { mode: 0o755 });
  return {
    user: {
      exec: { apiVersion: `${execGroup}/v1`, command: join(folder, 'plugin'), interactiveMode: 'Never', ...exec },
    },
    questions: () =>
      readFileSync(questions, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as ExecQuestion),
  };
}

/** A script's line that answers with a status. */
export function answering(status: object, version = 'v1'): string {
  const answer = JSON.stringify({ kind: 'ExecCredential', apiVersion: `${execGroup}/${version}`, status });
  // In double quotes, so that $run counts.
  return `echo "${answer.replaceAll('"', '\\"')}"`;
}
