import { type DestinationStream, destination, pino } from 'pino';

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LogFunction {
  (message: string): void;
  (fields: object, message: string): void;
}

/** The part of pino's logger that we use; fields come first, as in `log.warn({ service }, 'no backends')`. */
export interface Logger {
  level: string;
  readonly trace: LogFunction;
  readonly debug: LogFunction;
  readonly info: LogFunction;
  readonly warn: LogFunction;
  readonly error: LogFunction;
  readonly fatal: LogFunction;
  child(fields: Record<string, unknown>): Logger;
}

export interface LoggerOptions {
  /** What writes: `agent`, `operator`, `lab`. */
  readonly name: string;
  /** Default `info`. */
  readonly level?: LogLevel;
  /** One JSON object a line; default: unless standard error is a terminal. Otherwise a line of text for people. */
  readonly json?: boolean;
  /** Default 2, standard error: standard output belongs to the command's answer. */
  readonly fd?: number;
  /** Told of each line that is written, also by children. */
  readonly onLine?: (level: LogLevel) => void;
}

export function isLogLevel(text: string): text is LogLevel {
  return logLevels.some((level) => level === text);
}

/** The process's logger. Writes are synchronous: the last line before a crash is the one that matters. */
export function createLogger({ name, level = 'info', json, fd = 2, onLine }: LoggerOptions): Logger {
  const output = destination({ dest: fd, sync: true });
  return pinoTo((json ?? !process.stderr.isTTY) ? output : textLines(output), { name, level, onLine });
}

export const silentLogger: Logger = pino({ level: 'silent' });

export interface RecordedLine {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A logger for tests that keeps its lines. */
export function recordingLogger(level: LogLevel = 'trace'): Logger & { readonly lines: readonly RecordedLine[] } {
  const lines: RecordedLine[] = [];
  const record = (line: string) => {
    const { level, message, fields } = decodeLine(line);
    lines.push({ level, message, fields });
  };
  const logger: Logger = pinoTo({ write: record }, { name: 'test', level, onLine: undefined });
  return Object.assign(logger, { lines });
}

interface PinoOptions {
  readonly name: string;
  readonly level: LogLevel;
  readonly onLine: LoggerOptions['onLine'];
}

function pinoTo(stream: DestinationStream, { name, level, onLine }: PinoOptions): Logger {
  return pino(
    {
      level,
      ...(onLine && {
        hooks: {
          logMethod(args, method, number) {
            onLine(levelOf(number));
            method.apply(this, args);
          },
        },
      }),
      base: { name },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      messageKey: 'message',
      errorKey: 'error',
    },
    stream,
  );
}

function levelOf(number: number): LogLevel {
  const label = pino.levels.labels[number] ?? '';
  return isLogLevel(label) ? label : 'info';
}

interface DecodedLine extends RecordedLine {
  readonly time: string;
  readonly name: string;
}

function decodeLine(line: string): DecodedLine {
  const { level, time, name, message, ...fields } = JSON.parse(line);
  return { level, time, name, message: message ?? '', fields };
}

function textLines(output: DestinationStream): DestinationStream {
  return { write: (line) => output.write(formatLine(decodeLine(line))) };
}

function formatLine({ time, level, name, message, fields }: DecodedLine): string {
  const pairs = Object.entries(fields).map(([key, value]) => ` ${key}=${formatField(value)}`);
  return `${time} ${level.toUpperCase().padEnd(5)} ${name}: ${message}${pairs.join('')}\n`;
}

function formatField(value: unknown): string {
  if (isErrorLike(value)) return JSON.stringify(value.message);
  return typeof value === 'string' && /^[\w./:@+-]+$/.test(value) ? value : JSON.stringify(value);
}

function isErrorLike(value: unknown): value is { message: string } {
  return typeof value === 'object' && value !== null && 'stack' in value && 'message' in value;
}
