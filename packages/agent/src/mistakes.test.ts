import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

function run(mistake: string) {
  const script = `
    import { createLogger } from '@sluice/runtime';
    import { endOnMistakes } from ${JSON.stringify(new URL('mistakes.ts', import.meta.url).href)};
    endOnMistakes(createLogger({ name: 'agent', level: 'info' }));
    ${mistake};
    setTimeout(() => process.exit(0), 60_000);
  `;
  const args = [...process.execArgv, '--input-type=module', '-e', script];
  return spawnSync(process.execPath, args, { encoding: 'utf8', cwd: import.meta.dirname });
}

for (const [name, mistake] of [
  ['a promise that nobody waits for', 'Promise.reject(new Error("of ours"))'],
  ['an exception that nobody catches', 'setImmediate(() => { throw new Error("of ours") })'],
] as const) {
  test(`${name} ends the agent, and the log says why`, () => {
    const { status, stdout, stderr } = run(mistake);
    assert.equal(status, 1, stderr);
    assert.match(stdout + stderr, /"level":"fatal".*of ours.*the agent made a mistake/);
  });
}
