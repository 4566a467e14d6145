import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Endpoint, hostNameOf } from './endpoint.ts';
import { formatEndpoint, parseEndpoint } from './endpoint-file.ts';
import { isSalvaged } from './salvage.ts';

const suffix = '.json';

/** A state file that could not be read, and where it was put. */
export interface DamagedFile {
  readonly path: string;
  /** Where it was, when the folder cannot be written. */
  readonly movedTo: string;
  readonly reason: string;
}

/** The endpoints on disk: one file each, named after the node's side of the pair. */
export class EndpointStore {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }

  /**
   * Old or new, never half, however the agent ends. No fsync: it would take most of ADD's time, and after a loss of power
   * the pods' namespaces are gone with what the file tells of them.
   */
  save(endpoint: Endpoint): void {
    // Somebody may have emptied the state folder: the next pod must not suffer for it.
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const path = this.#path(endpoint);
    const temporary = `${path}.${process.pid}.tmp`;
    writeFileSync(temporary, formatEndpoint(endpoint), { mode: 0o600 });
    renameSync(temporary, path);
  }

  /** Writes the file if it is not there; says whether it did. */
  keep(endpoint: Endpoint): boolean {
    if (existsSync(this.#path(endpoint))) return false;
    this.save(endpoint);
    return true;
  }

  /** False: the file cannot be removed. It names a device that is gone, so the next start passes it over. */
  remove(endpoint: Endpoint): boolean {
    return attempt(() => rmSync(this.#path(endpoint), { force: true }));
  }

  /**
   * In the order of creation. What cannot be read, or believed, is moved aside, so that it is reported once and nothing else
   * suffers.
   */
  load(contradiction: (endpoint: Endpoint) => string | undefined = () => undefined): {
    endpoints: Endpoint[];
    damaged: DamagedFile[];
  } {
    const endpoints: Endpoint[] = [];
    const damaged: DamagedFile[] = [];
    for (const name of readdirSync(this.#folder).sort()) {
      const path = join(this.#folder, name);
      if (name.endsWith('.tmp')) attempt(() => rmSync(path, { force: true }));
      if (!name.endsWith(suffix)) continue;
      try {
        const endpoint = readEndpoint(path, name);
        const reason = contradiction(endpoint);
        if (reason !== undefined) throw new TypeError(reason);
        endpoints.push(endpoint);
      } catch (error) {
        damaged.push(this.#moveAside(path, name, error));
      }
    }
    return { endpoints: endpoints.sort((left, right) => left.id - right.id), damaged };
  }

  #moveAside(path: string, name: string, error: unknown): DamagedFile {
    const folder = join(this.#folder, 'damaged');
    const movedTo = join(folder, name);
    const isMoved = attempt(() => {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      renameSync(path, movedTo);
    });
    return { path, movedTo: isMoved ? movedTo : path, reason: error instanceof Error ? error.message : String(error) };
  }

  #path(endpoint: Endpoint): string {
    return join(this.#folder, `${endpoint.hostName}${suffix}`);
  }
}

/** What tidies up must not keep an agent from its start on a full or read-only disk. */
function attempt(action: () => void): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error) return false;
    throw error;
  }
}

function readEndpoint(path: string, name: string): Endpoint {
  const endpoint = parseEndpoint(readFileSync(path, 'utf8'));
  // A copied file would give one pod's device to another.
  const hostName = isSalvaged(endpoint) ? endpoint.hostName : hostNameOf(endpoint);
  if (`${hostName}${suffix}` !== name || endpoint.hostName !== hostName) {
    throw new TypeError(`it describes ${endpoint.containerId}/${endpoint.ifname}, which belongs into another file`);
  }
  return endpoint;
}
