/**
 * What every Sluice process needs before it does anything of its own: a clock that tests can turn, a logger, parts that
 * start in order and stop in reverse, files that are written whole or not at all, and a report on the machine.
 * It knows nothing of networks or Kubernetes. Begin with `clock.ts` and `lifecycle.ts`.
 */
export { type Backoff, type BackoffOptions, backoff } from './backoff.ts';
export { type Clock, sleep, systemClock, type Timer } from './clock.ts';
export { type FakeClock, fakeClock } from './fake-clock.ts';
export { readFileIfPresent, writeFileAtomic } from './file.ts';
export { installationRoot } from './installation.ts';
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
export {
  formatMachineReport,
  type MachineCheck,
  type MachineReport,
  type MachineReportOptions,
  machineReport,
} from './machine.ts';
export { type Mount, parseMountinfo, readMounts } from './mountinfo.ts';
export { listenPrivately, type PrivateSocket } from './private-socket.ts';
