import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { isLogLevel, recordingLogger } from './index.ts';

function logged(options: string): string {
  const code = `
    import { createLogger } from ${JSON.stringify(new URL('./logger.ts', import.meta.url).href)};
    const log = createLogger({ name: 'agent', fd: 1, ${options} });
    log.debug('hidden');
    log.child({ node: 'n1' }).warn({ error: new Error('no route'), count: 2, text: 'a b' }, 'cannot reach it');
  `;
  return execFileSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' });
}

test('in production a line is one JSON object', () => {
  const lines = logged('json: true').trim().split('\n');
  assert.equal(lines.length, 1);
  const { time, error, ...rest } = JSON.parse(lines[0] ?? '');
  assert.deepEqual(rest, {
    level: 'warn',
    name: 'agent',
    node: 'n1',
    count: 2,
    text: 'a b',
    message: 'cannot reach it',
  });
  assert.match(time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assert.equal(error.message, 'no route');
  assert.match(error.stack, /Error: no route\n/);
});

test('for people a line is text', () => {
  const line = logged('json: false').replace(/^\S+/, 'TIME');
  assert.equal(line, 'TIME WARN  agent: cannot reach it node=n1 error="no route" count=2 text="a b"\n');
});

test('the level is an option', () => {
  assert.match(logged("json: false, level: 'debug'"), /DEBUG agent: hidden/);
  assert.equal(logged("json: false, level: 'error'"), '');
  assert.deepEqual([isLogLevel('debug'), isLogLevel('loud')], [true, false]);
});

test('a recording logger keeps what children said', () => {
  const log = recordingLogger('info');
  log.child({ part: 'x' }).info({ a: 1 }, 'hello');
  log.debug('below the level');
  assert.deepEqual(log.lines, [{ level: 'info', message: 'hello', fields: { part: 'x', a: 1 } }]);
});

test('who asks is told of every line that is written, and of no other', () => {
  const told = logged("json: true, onLine: (level) => console.log('told ' + level)")
    .split('\n')
    .filter((line) => line.startsWith('told'));
  assert.deepEqual(told, ['told warn']);
});
