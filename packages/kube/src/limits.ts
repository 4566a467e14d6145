/** Every bound on what the API server may cost us: time in milliseconds, sizes in bytes after decompression. */
export interface KubeLimits {
  /** Until TCP and TLS are up. */
  readonly connectMs: number;
  /** From the request to the first line of the answer. */
  readonly headerMs: number;
  /** Silence in the middle of a body. */
  readonly bodyIdleMs: number;
  /** Silence of a watch. Servers send a bookmark about once a minute: one that forgot a watch is noticed by its lack. */
  readonly watchIdleMs: number;
  /** From the head of an answer to its end, for a body that never falls silent but does not end either. */
  readonly bodyMs: number;
  /** Silence of a server that we wait for, after which it is asked whether it is there. */
  readonly quietMs: number;
  /** Within which it must answer that question. */
  readonly pulseMs: number;
  /** Idle time after which the kernel asks the other end of a connection; it gives up ten seconds later. */
  readonly keepAliveMs: number;
  /** An error or a single object; etcd refuses more than 1.5 MiB. */
  readonly objectBytes: number;
  /** A larger page is asked for again with fewer objects; one that has a single object may be as large as that. */
  readonly listPageBytes: number;
  /** What a page should have. */
  readonly listPageBytesWanted: number;
  readonly watchEventBytes: number;
  readonly listPageItems: number;
  /** Of the first page, before it is known how large the objects are. */
  readonly listFirstPageItems: number;
  /** Objects of one kind; more is refused rather than eaten. */
  readonly listItems: number;
  /** Pages of one list, some of which may be empty. */
  readonly listPages: number;
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
  bodyMs: 120_000,
  quietMs: 10_000,
  pulseMs: 10_000,
  keepAliveMs: 10_000,
  objectBytes: 4 * 1024 * 1024,
  listPageBytes: 2 * 1024 * 1024,
  listPageBytesWanted: 1024 * 1024,
  watchEventBytes: 4 * 1024 * 1024,
  listPageItems: 500,
  listFirstPageItems: 100,
  listItems: 1_000_000,
  listPages: 10_000,
  busyRetries: 4,
  retryAfterMs: 60_000,
  probeMs: 10_000,
};
