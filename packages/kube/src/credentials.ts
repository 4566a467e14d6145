import { readFileSync, statSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { ConnectionOptions } from 'node:tls';
import type { Clock } from '@sluice/runtime';
import type { KubeConfiguration } from './configuration.ts';

const rereadMs = 60_000;

// A watch holds a connection each; the rest share these.
const idleConnectionsMax = 4;

export interface CredentialsOptions {
  readonly clock: Clock;
  /** Of each connection, watches too: a peer that is gone without a word is noticed by the kernel. */
  readonly keepAliveMs: number;
}

/** The connections' TLS material and the bearer token, read again when their files change. */
export class Credentials {
  readonly #configuration: KubeConfiguration;
  readonly #clock: Clock;
  readonly #http: HttpAgent;
  readonly #keepAliveMs: number;
  #https: HttpsAgent;
  #token: string | undefined;
  #stamp: string;
  #checkedAtMs: number;

  constructor(configuration: KubeConfiguration, { clock, keepAliveMs }: CredentialsOptions) {
    this.#configuration = configuration;
    this.#clock = clock;
    this.#keepAliveMs = keepAliveMs;
    this.#http = new HttpAgent(this.#agentOptions());
    this.#stamp = this.#filesStamp();
    this.#https = this.#newAgent();
    this.#token = bearerToken(this.#configuration);
    this.#checkedAtMs = this.#nowMs();
  }

  agentFor(url: URL): HttpAgent {
    return url.protocol === 'http:' ? this.#http : this.#https;
  }

  get serverName(): string | undefined {
    return this.#configuration.serverName;
  }

  authorization(): string | undefined {
    if (this.#nowMs() - this.#checkedAtMs >= rereadMs) this.refresh();
    return this.#token === undefined ? undefined : `Bearer ${this.#token}`;
  }

  /** Reads changed files now; true when something changed, so that a refused request is worth repeating. */
  refresh(): boolean {
    this.#checkedAtMs = this.#nowMs();
    const stamp = this.#filesStamp();
    if (stamp === this.#stamp) return false;
    try {
      const token = bearerToken(this.#configuration);
      const agent = this.#newAgent();
      this.#https.destroy();
      this.#https = agent;
      this.#token = token;
      this.#stamp = stamp;
      return true;
    } catch {
      // In the middle of a rotation: what we have stays good, the next check reads again.
      return false;
    }
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }

  #newAgent(): HttpsAgent {
    return new HttpsAgent({ ...this.#agentOptions(), ...tlsOptions(this.#configuration) });
  }

  #agentOptions() {
    return { keepAlive: true, keepAliveMsecs: this.#keepAliveMs, maxFreeSockets: idleConnectionsMax };
  }

  #filesStamp(): string {
    const { caFile, certFile, keyFile, tokenFile } = this.#configuration;
    return [caFile, certFile, keyFile, tokenFile].map(fileStamp).join(' ');
  }

  #nowMs(): number {
    return Number(this.#clock.monotonicNs() / 1_000_000n);
  }
}

/** What `node:tls` needs to know of the server and of us; files are read now. */
export function tlsOptions(configuration: KubeConfiguration): ConnectionOptions {
  const { ca, caFile, cert, certFile, key, keyFile, insecureSkipTlsVerify } = configuration;
  const [caText, certText, keyText] = [ca ?? read(caFile), cert ?? read(certFile), key ?? read(keyFile)];
  return {
    minVersion: 'TLSv1.2',
    rejectUnauthorized: !insecureSkipTlsVerify,
    ...(caText !== undefined && { ca: caText }),
    ...(certText !== undefined && { cert: certText }),
    ...(keyText !== undefined && { key: keyText }),
  };
}

/** The token to send, if there is one; throws for text that would end the header line. */
export function bearerToken({ token, tokenFile }: KubeConfiguration): string | undefined {
  const text = (tokenFile === undefined ? token : read(tokenFile))?.trim();
  if (text === undefined) return undefined;
  if (!/^[\x21-\x7e]+$/.test(text)) throw new Error(`the token in ${tokenFile ?? 'the kubeconfig'} is not one`);
  return text;
}

function read(path: string | undefined): string | undefined {
  return path === undefined ? undefined : readFileSync(path, 'utf8');
}

function fileStamp(path: string | undefined): string {
  if (path === undefined) return '-';
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat ? `${stat.ino}:${stat.size}:${stat.mtimeMs}` : 'missing';
}
