/**
 * `unreachable`: no server answered. `timeout`: no connection in time, or an answer without an end. `silent`: it took the
 * request and fell silent. `status`: it answered with an error, see `status` and `reason`. `malformed`: it answered what is
 * not the API. `too-large`: more than we take. `credentials`: nothing was sent, for want of who we are. `aborted`: we gave up
 * ourselves.
 */
export type KubeErrorCode =
  | 'unreachable'
  | 'timeout'
  | 'silent'
  | 'status'
  | 'malformed'
  | 'too-large'
  | 'credentials'
  | 'aborted';

export interface KubeErrorDetails {
  /** HTTP status, 0 where there was no answer. */
  readonly status?: number;
  /** Kubernetes' own word: NotFound, Conflict, AlreadyExists, Expired, Forbidden, ... */
  readonly reason?: string;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** What can go wrong between us and the API server. */
export class KubeError extends Error {
  override readonly name = 'KubeError';
  readonly code: KubeErrorCode;
  readonly status: number;
  readonly reason: string;
  /** How long the server asks us to stay away. */
  readonly retryAfterMs: number | undefined;

  constructor(code: KubeErrorCode, message: string, details: KubeErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.status = details.status ?? 0;
    this.reason = details.reason ?? '';
    this.retryAfterMs = details.retryAfterMs;
  }
}

export function isNotFound(error: unknown): boolean {
  return error instanceof KubeError && error.status === 404;
}

/** Who we are lacks the right. */
export function isForbidden(error: unknown): boolean {
  return error instanceof KubeError && error.status === 403;
}

/** An update met a newer version of the object. */
export function isConflict(error: unknown): boolean {
  return error instanceof KubeError && error.status === 409 && error.reason !== 'AlreadyExists';
}

export function isAlreadyExists(error: unknown): boolean {
  return error instanceof KubeError && error.status === 409 && error.reason === 'AlreadyExists';
}

/** The version we asked for is no longer in the server's history. */
export function isExpired(error: unknown): boolean {
  return error instanceof KubeError && (error.status === 410 || error.reason === 'Expired' || error.reason === 'Gone');
}
