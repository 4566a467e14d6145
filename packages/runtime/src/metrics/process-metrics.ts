import { readdirSync, readFileSync } from 'node:fs';
import { counter, gauge, type Metric } from './metric.ts';

/** Of this process, by the names that every client library of Prometheus gives them, and of Node's own. */
export function processMetrics(prefix: string): Metric<unknown>[] {
  return [
    counter(`${prefix}process_cpu_seconds_total`, 'Processor time of the process, in seconds.', [], () => {
      const { user, system } = process.cpuUsage();
      return [[(user + system) / 1e6]];
    }),
    gauge(`${prefix}process_resident_memory_bytes`, 'Resident memory of the process.', [], () => [
      [process.memoryUsage.rss()],
    ]),
    gauge(`${prefix}process_virtual_memory_bytes`, 'Virtual memory of the process.', [], () => [[virtualBytes()]]),
    gauge(`${prefix}process_start_time_seconds`, 'When the process began, in seconds since the epoch.', [], () => [
      [startedAt],
    ]),
    gauge(`${prefix}process_open_fds`, 'Open file descriptors.', [], () => [[readdirSync('/proc/self/fd').length]]),
    gauge(`${prefix}process_max_fds`, 'How many file descriptors the process may have.', [], () => [
      [descriptorsMax()],
    ]),
    gauge('nodejs_version_info', 'The version of Node.', ['version'], () => [[process.version, 1]]),
    gauge('nodejs_heap_size_total_bytes', "Size of JavaScript's heap.", [], () => [[process.memoryUsage().heapTotal]]),
    gauge('nodejs_heap_size_used_bytes', "What is in use of JavaScript's heap.", [], () => [
      [process.memoryUsage().heapUsed],
    ]),
    gauge('nodejs_external_memory_bytes', 'Memory of buffers outside of the heap.', [], () => [
      [process.memoryUsage().external],
    ]),
    counter(
      'sluice_event_loop_active_seconds_total',
      "For how long Node's loop was at work; its rate is the share of the time in which nothing else could be served.",
      [],
      () => [[performance.eventLoopUtilization().active / 1000]],
    ),
  ];
}

const startedAt = Math.round(performance.timeOrigin) / 1000;

function virtualBytes(): number {
  const [, kibibytes] = /^VmSize:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  return Number(kibibytes) * 1024;
}

function descriptorsMax(): number {
  const [, soft] = /^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}
