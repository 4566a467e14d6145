/** Every bound on what the API server may cost us: time in milliseconds, sizes in bytes after decompression. */
export interface KubeLimits {
  /** Until TCP and TLS are up. */
  readonly connectMs: number;
  /** From the request to the first line of the answer. */
  readonly headerMs: number;
  /** Silence in the middle of a body. */
  readonly bodyIdleMs: number;
  /** Silence of a watch. Servers send a bookmark about once a minute; a dead connection is noticed by its lack. */
  readonly watchIdleMs: number;
  /** An error or a single object; etcd refuses more than 1.5 MiB. */
  readonly objectBytes: number;
  readonly listPageBytes: number;
  readonly watchEventBytes: number;
  readonly listPageItems: number;
  /** Objects of one kind; more is refused rather than eaten. */
  readonly listItems: number;
  /** How often one request is sent again because the server is busy (429). */
  readonly busyRetries: number;
  /** Longest time that we let a server send us away for. */
  readonly retryAfterMs: number;
  /** Between looks at a server that failed. */
  readonly probeMs: number;
}

export const defaultLimits: KubeLimits = {
  connectMs: 5_000,
  headerMs: 30_000,
  bodyIdleMs: 30_000,
  watchIdleMs: 90_000,
  objectBytes: 8 * 1024 * 1024,
  listPageBytes: 64 * 1024 * 1024,
  watchEventBytes: 8 * 1024 * 1024,
  listPageItems: 500,
  listItems: 1_000_000,
  busyRetries: 4,
  retryAfterMs: 60_000,
  probeMs: 10_000,
};
