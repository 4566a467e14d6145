import assert from 'node:assert/strict';
import { createConnection, createServer } from 'node:net';
import { test } from 'node:test';
import { fakeClock } from '../fake-clock.ts';
import { recordingLogger, silentLogger } from '../logger.ts';
import { gather } from './gather.ts';
import { gauge } from './metric.ts';
import { MetricsServer } from './metrics-server.ts';
import { processMetrics } from './process-metrics.ts';

const one = () => gather([gauge('x_up', 'Up.', [], () => [[1]])], undefined);

/** A port of the loopback that nobody has; and somebody who has it until he is told to leave. */
async function occupiedPort(): Promise<{ port: number; leave: () => Promise<unknown> }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, () => resolve()));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { port, leave: () => new Promise((resolve) => server.close(resolve)) };
}

test('metrics are served on the port, in the format that is asked for, and nothing else is', async () => {
  const { port, leave } = await occupiedPort();
  await leave();
  const server = new MetricsServer({ port, gather: one, log: silentLogger });
  await server.start();
  try {
    assert.equal(server.problem, undefined);
    const plain = await fetch(`http://127.0.0.1:${port}/metrics`);
    assert.equal(plain.status, 200);
    assert.equal(plain.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
    assert.equal(await plain.text(), '# HELP x_up Up.\n# TYPE x_up gauge\nx_up 1\n');
    const open = await fetch(`http://127.0.0.1:${port}/metrics?x=1`, {
      headers: { accept: 'application/openmetrics-text' },
    });
    assert.match(open.headers.get('content-type') ?? '', /^application\/openmetrics-text; version=1\.0\.0/);
    assert.match(await open.text(), /# EOF\n$/);
    assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 404);
    assert.equal((await fetch(`http://127.0.0.1:${port}/metrics`, { method: 'POST' })).status, 405);
  } finally {
    await server.stop();
  }
  await assert.rejects(fetch(`http://127.0.0.1:${port}/metrics`));
});

test('a port that another process has is told, and taken as soon as it is free', async () => {
  const { port, leave } = await occupiedPort();
  const clock = fakeClock();
  const log = recordingLogger();
  const server = new MetricsServer({ port, gather: one, log, clock });
  await server.start();
  try {
    assert.match(server.problem ?? '', new RegExp(`port ${port}: another process has it; tried again every 10 s`));
    clock.advance(10_000);
    await until(() => clock.pendingTimers === 1);
    assert.equal(log.lines.filter(({ level }) => level === 'warn').length, 1, 'told once');
    await leave();
    clock.advance(10_000);
    await until(() => server.problem === undefined);
    assert.equal((await fetch(`http://127.0.0.1:${port}/metrics`)).status, 200);
  } finally {
    await server.stop();
  }
});

test('one that is stopped while it begins leaves no port open', async () => {
  const { port, leave } = await occupiedPort();
  await leave();
  const server = new MetricsServer({ port, gather: one, log: silentLogger });
  const starting = server.start();
  await server.stop();
  await starting;
  await assert.rejects(fetch(`http://127.0.0.1:${port}/metrics`));
});

test('scrapes at the same time share one answer, and what fails is logged once', async () => {
  const { port, leave } = await occupiedPort();
  await leave();
  const log = recordingLogger();
  let gathered = 0;
  const slowly = async () => {
    gathered += 1;
    await new Promise((resolve) => setTimeout(resolve, 50));
    return { values: [], failures: [{ name: 'x_broken', error: 'map is gone' }] };
  };
  const server = new MetricsServer({ port, gather: slowly, log });
  await server.start();
  try {
    await Promise.all([1, 2, 3].map(() => fetch(`http://127.0.0.1:${port}/metrics`)));
    assert.equal(gathered, 1);
    await fetch(`http://127.0.0.1:${port}/metrics`);
    assert.equal(log.lines.filter(({ message }) => message === 'metrics are left out').length, 1);
  } finally {
    await server.stop();
  }
});

test('who asks a thousand times at once on a connection is answered once', async () => {
  const { port, leave } = await occupiedPort();
  await leave();
  let gathered = 0;
  const counted = () => {
    gathered += 1;
    return one();
  };
  const server = new MetricsServer({ port, gather: counted, log: silentLogger, silenceMs: 200 });
  await server.start();
  try {
    const answer = await talk(port, 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(1_000));
    assert.equal(answer.split('HTTP/1.1 200').length - 1, 1);
    assert.equal(gathered, 1);
  } finally {
    await server.stop();
  }
});

test('who asks nothing, or reads nothing of the answer, is cut off', async () => {
  const { port, leave } = await occupiedPort();
  await leave();
  const text = 'x'.repeat(20 << 20);
  const long = () => gather([gauge('x_up', text, [], () => [[1]])], undefined);
  const server = new MetricsServer({ port, gather: long, log: silentLogger, silenceMs: 100 });
  await server.start();
  try {
    await talk(port, '');
    const reader = createConnection(port, '127.0.0.1', () => reader.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'));
    reader.on('error', () => undefined);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const closed = new Promise((resolve) => reader.once('close', resolve));
    let received = 0;
    reader.on('data', (chunk) => {
      received += chunk.length;
    });
    await closed;
    assert.ok(received < text.length, 'the answer ended before its end');
  } finally {
    await server.stop();
  }
});

/** All that is answered until the connection is closed. */
function talk(port: number, request: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = createConnection(port, '127.0.0.1', () => socket.write(request));
    socket.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
    });
    // A connection that is closed with requests unread is reset.
    socket.on('error', () => undefined);
    socket.once('close', () => resolve(text));
  });
}

test("a process's own metrics say what its kernel says", async () => {
  const { values, failures } = await gather(processMetrics('x_'), undefined);
  assert.deepEqual(failures, []);
  const valueNamed = (name: string): number => {
    const metric = values.find((each) => each.name === name);
    return metric === undefined || metric.type === 'histogram' ? Number.NaN : Number(metric.samples[0]?.value);
  };
  const between = (name: string, [min, max]: readonly [number, number]) => {
    const found = valueNamed(name);
    assert.ok(found >= min && found <= max, `${name} is ${found}`);
  };
  between('x_process_cpu_seconds_total', [0.01, 3_600]);
  between('x_process_resident_memory_bytes', [20e6, 2e9]);
  between('x_process_virtual_memory_bytes', [valueNamed('x_process_resident_memory_bytes'), 1e13]);
  between('x_process_open_fds', [3, 10_000]);
  between('x_process_max_fds', [16, Number.POSITIVE_INFINITY]);
  between('x_process_start_time_seconds', [Date.now() / 1000 - 3_600, Date.now() / 1000]);
  between('nodejs_heap_size_used_bytes', [1e6, valueNamed('nodejs_heap_size_total_bytes')]);
});

async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 500 && !holds(); turn += 1) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.ok(holds());
}
