/**
 * Which labels make an identity, as the incumbent's option `labels` has it. Without a pattern that includes, all labels
 * do but those below: they differ from pod to pod, and with them every pod would be an identity of its own.
 */
const standardPatterns = [
  'io\\.kubernetes\\.pod\\.namespace',
  'io\\.cilium\\.k8s\\.namespace\\.labels',
  'io\\.cilium\\.k8s\\.policy\\.cluster',
  'app\\.kubernetes\\.io',
  '!io\\.kubernetes',
  '!kubernetes\\.io',
  '!statefulset\\.kubernetes\\.io/pod-name',
  '!apps\\.kubernetes\\.io/pod-index',
  '!batch\\.kubernetes\\.io/job-completion-index',
  '!batch\\.kubernetes\\.io/controller-uid',
  '!.*beta\\.kubernetes\\.io',
  '!k8s\\.io',
  '!pod-template-generation',
  '!pod-template-hash',
  '!controller-revision-hash',
  '!annotation.*',
  '!controller-uid',
  '!etcd_node',
];

/** Label keys of a cluster are few; a limit, because anybody may invent more. */
const rememberedMax = 10_000;

/** A part of a key, from its beginning on. */
interface Pattern {
  readonly expression: RegExp;
  readonly excludes: boolean;
}

export class LabelFilter {
  readonly #patterns: readonly Pattern[];
  /** With a pattern of the user's that includes, nothing else is. */
  readonly #includesOnly: boolean;
  readonly #remembered = new Map<string, boolean>();

  /** Patterns of the user such as `k8s:app` or `!job-name`, beside the standard ones; throws TypeError. */
  constructor(patterns: readonly string[] = []) {
    const own = patterns.map(parsePattern);
    this.#patterns = [...standardPatterns.map(parsePattern), ...own].filter((pattern) => pattern !== undefined);
    this.#includesOnly = own.some((pattern) => pattern && !pattern.excludes);
  }

  /** `key` without its source. */
  accepts(key: string): boolean {
    const known = this.#remembered.get(key);
    if (known !== undefined) return known;
    if (this.#remembered.size >= rememberedMax) this.#remembered.clear();
    const accepted = this.#decide(key);
    this.#remembered.set(key, accepted);
    return accepted;
  }

  // Of patterns that match, the one that says more of the key wins: `!foo` leaves `foo.bar` to an inclusive `foo.bar`.
  #decide(key: string): boolean {
    let included = 0;
    let excluded = 0;
    for (const { expression, excludes } of this.#patterns) {
      expression.lastIndex = 0;
      const length = expression.exec(key)?.[0].length ?? 0;
      if (length === 0) continue;
      if (!excludes) included = Math.max(included, length);
      else excluded = excluded === 0 ? length : Math.min(excluded, length);
    }
    return (!this.#includesOnly && excluded === 0) || included > excluded;
  }
}

/** Undefined: it is about labels of a source that pods do not have. */
function parsePattern(text: string): Pattern | undefined {
  const [, source = '', excludes = '', expression = ''] = /^(?:([a-z0-9-]*):)?(!?)(.*)$/.exec(text) ?? [];
  if (expression === '') throw new TypeError(`${JSON.stringify(text)} is no pattern of labels`);
  if (source !== '' && source !== 'k8s' && source !== 'any') return undefined;
  try {
    return { expression: new RegExp(expression, 'y'), excludes: excludes !== '' };
  } catch (cause) {
    throw new TypeError(`${JSON.stringify(text)} is no pattern of labels: ${String(cause)}`, { cause });
  }
}
