/** What the API server has warned our processes of: that something they ask for is deprecated, above all. */
import { kubectl } from './cluster.ts';
import { namespace } from './install.ts';

/** Whether their logs have none; those that there are are shown. */
export async function noWarnings(): Promise<boolean> {
  const logs = await Promise.all(
    ['sluice-agent', 'sluice-operator'].map((name) =>
      kubectl('--namespace', namespace, 'logs', '-l', `app.kubernetes.io/name=${name}`, '--tail=-1', '--prefix'),
    ),
  );
  const lines = logs.join('\n').split('\n');
  const warnings = lines.filter((line) => line.includes('the API server warns'));
  for (const warning of warnings) process.stdout.write(`${warning}\n`);
  process.stdout.write(`${warnings.length} warnings in ${lines.length} lines of the logs\n`);
  return warnings.length === 0 && lines.length > 1;
}
