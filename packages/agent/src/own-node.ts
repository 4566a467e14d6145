import { type Address, formatPrefix, type Prefix, parseAddress, parsePrefix } from '@sluice/net';
import { type Logger, readFileIfPresent, writeFileAtomic } from '@sluice/runtime';

/** What of our own Node object the agent cannot start without. */
export interface OwnNode {
  readonly name: string;
  /** InternalIPs, in the API's order. */
  readonly addresses: readonly Address[];
  readonly podCidrs: readonly Prefix[];
}

/** The facts as they were last known, for a start while the API server is away. Never a reason not to start. */
export class OwnNodeFile {
  readonly #path: string;
  readonly #log: Logger;

  constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
  }

  /** Undefined: never written, or damaged, which is logged; the API server will tell. */
  load(nodeName: string): OwnNode | undefined {
    try {
      const text = readFileIfPresent(this.#path);
      const facts = text === undefined ? undefined : parseFacts(JSON.parse(text));
      if (facts === undefined || facts.name === nodeName) return facts;
      this.#log.warn({ path: this.#path, of: facts.name }, 'the kept facts are of another node and are not used');
    } catch (error) {
      this.#log.error({ path: this.#path, error }, 'the kept facts are damaged and are not used');
    }
    return undefined;
  }

  /** A full disk costs the next start its independence of the API server, not this agent its work. */
  save(facts: OwnNode): void {
    const text = `${JSON.stringify({ ...facts, podCidrs: facts.podCidrs.map(formatPrefix) }, null, 2)}\n`;
    try {
      if (readFileIfPresent(this.#path) !== text) writeFileAtomic(this.#path, text);
    } catch (error) {
      this.#log.error({ path: this.#path, error }, 'cannot keep the facts of this node: make room on the disk');
    }
  }
}

function parseFacts(value: unknown): OwnNode {
  if (typeof value !== 'object' || value === null) throw new TypeError('it is not an object');
  const name: unknown = Reflect.get(value, 'name');
  if (typeof name !== 'string') throw new TypeError('name is not text');
  return {
    name,
    addresses: texts(value, 'addresses').map(parseAddress),
    podCidrs: texts(value, 'podCidrs').map((text) => parsePrefix(text)),
  };
}

function texts(value: object, field: string): string[] {
  const list: unknown = Reflect.get(value, field);
  if (Array.isArray(list) && list.every((item) => typeof item === 'string')) return list;
  throw new TypeError(`${field} is not a list of texts`);
}
