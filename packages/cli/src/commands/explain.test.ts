import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExplainReport } from '@sluice/agent';
import { agent, sluice } from '../test-agent.ts';

const forwarded: ExplainReport = {
  from: 'shop/client',
  to: 'shop/web:80',
  protocol: 'TCP',
  verdict: 'forwarded',
  summary: 'it reaches shop/web-1 on this node',
  hint: undefined,
  steps: [
    { step: 'name', text: 'service shop/web has the address 10.96.4.7', facts: { address: '10.96.4.7' } },
    { step: 'route', text: 'into shop/web-1 on this node', facts: { way: 'pod' } },
  ],
};

const dropped: ExplainReport = {
  ...forwarded,
  verdict: 'dropped',
  summary: 'service has no backend',
  hint: 'no ready endpoint',
};

test('the steps stand in their order, and what they come to last', async () => {
  using asked = await agent({ '/explain?from=shop%2Fclient&to=shop%2Fweb%3A80&protocol=tcp': forwarded });
  const { out, exitCode } = await sluice([
    'explain',
    'connect',
    'shop/client',
    'shop/web:80',
    '--socket',
    asked.socket,
  ]);
  assert.equal(
    out,
    `shop/client to shop/web:80 over TCP

name:       service shop/web has the address 10.96.4.7
route:      into shop/web-1 on this node

forwarded:  it reaches shop/web-1 on this node
`,
  );
  assert.equal(exitCode, 0);
});

test('what does not get through has a hint, and ends with status 1', async () => {
  using asked = await agent(() => dropped);
  const { out, exitCode } = await sluice(['explain', 'connect', 'a', 'b:80', '--socket', asked.socket]);
  assert.match(out, /^dropped: {2}service has no backend\nhint: {5}no ready endpoint\n$/m);
  assert.equal(exitCode, 1);
});

test('every option is part of the question', async () => {
  const urls: string[] = [];
  using asked = await agent((url) => {
    urls.push(url);
    return forwarded;
  });
  const given = ['--protocol', 'udp', '--source-port', '4000', '--ipv6', '--past-hooks', '-o', 'json'];
  const { out } = await sluice(['explain', 'connect', 'host', '[fd00::1]:53', ...given, '--socket', asked.socket]);
  const [url = ''] = urls;
  assert.deepEqual(Object.fromEntries(new URL(url, 'http://agent').searchParams), {
    from: 'host',
    to: '[fd00::1]:53',
    protocol: 'udp',
    'source-port': '4000',
    family: '6',
    'past-hooks': 'true',
  });
  assert.deepEqual(JSON.parse(out).steps, forwarded.steps);
});

test('options that contradict each other or mean nothing are refused before anybody is asked', async () => {
  for (const wrong of [
    ['--ipv4', '--ipv6'],
    ['--protocol', 'sctp'],
    ['--source-port', '0'],
    ['--source-port', 'x'],
  ]) {
    const { exitCode, err } = await sluice(['explain', 'connect', 'a', 'b:1', ...wrong, '--socket', '/nowhere']);
    assert.equal(exitCode, 2, err);
  }
});
