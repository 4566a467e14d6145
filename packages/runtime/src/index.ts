/**
 * What every Sluice process needs before it does anything of its own: a clock that tests can turn, a logger, parts that
 * start in order and stop in reverse, files that are written whole or not at all, and metrics for Prometheus.
 * It knows nothing of networks or Kubernetes. Begin with `clock.ts` and `lifecycle.ts`.
 */
export { type Backoff, type BackoffOptions, backoff } from './backoff.ts';
export { type Clock, clockApart, sleep, systemClock, type Timer } from './clock.ts';
export { type FakeClock, fakeClock } from './fake-clock.ts';
export { readFileIfPresent, readFileUpTo, writeFileAtomic } from './file.ts';
export { HealthServer, type HealthServerOptions } from './health-server.ts';
export { installationRoot, installedVersion } from './installation.ts';
export { type JsonAnswer, JsonServer, type JsonServerOptions } from './json-server.ts';
export { forgetFailure, type LastFailure, lastFailure, noteFailure } from './last-failure.ts';
export { type Lifecycle, type LifecyclePart, lifecycle } from './lifecycle.ts';
export {
  createLogger,
  isLogLevel,
  type Logger,
  type LogLevel,
  logLevels,
  type RecordedLine,
  recordingLogger,
  silentLogger,
} from './logger.ts';
export { describeMetrics } from './metrics/describe.ts';
export { type Exposition, expositionFor, labelText, openMetricsText, prometheusText } from './metrics/exposition.ts';
export { type Gathered, gather, type MetricFailure } from './metrics/gather.ts';
export {
  counter,
  gauge,
  type HistogramSample,
  histogram,
  type Metric,
  type MetricType,
  type MetricValues,
  type Sample,
} from './metrics/metric.ts';
export { MetricsServer, type MetricsServerOptions } from './metrics/metrics-server.ts';
export { processMetrics } from './metrics/process-metrics.ts';
export { Distribution, durationBounds, Tally } from './metrics/tally.ts';
export { type Mount, parseMountinfo, readMounts } from './mountinfo.ts';
export { listenPrivately, type PrivateSocket } from './private-socket.ts';
