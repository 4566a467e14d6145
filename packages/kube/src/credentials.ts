import { statSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { type Clock, readFileUpTo } from '@sluice/runtime';
import type { KubeConfiguration } from './configuration.ts';
import { KubeError } from './error.ts';
import { SharedCall } from './shared-call.ts';

const rereadMs = 60_000;
/** Of a token, a key, or the certificates of some hundred authorities. */
const fileBytesMax = 4 * 1024 * 1024;

// A watch holds a connection each; the rest share these.
const idleConnectionsMax = 4;

/** What somebody else, such as a program that a kubeconfig names, says of who we are. PEM, as in files. */
export interface Proof {
  readonly token?: string;
  readonly cert?: string;
  readonly key?: string;
  /** Since the epoch; without it, good until a server refuses it. */
  readonly expiresAtMs?: number;
}

/**
 * Asked before the first request, after the proof has expired, and when a server refuses it; once for all that wait, until
 * nobody does.
 */
export type ProofSource = (signal: AbortSignal) => Promise<Proof>;

/** What a connection of another kind, such as a WebSocket, needs to be the same as ours. */
export interface ConnectionProof {
  readonly agent: HttpAgent;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly serverName: string | undefined;
  /** Which one it was, for `renew`. */
  readonly version: number;
}

export interface CredentialsOptions {
  readonly clock: Clock;
  /** Of each connection, watches too: a peer that is gone without a word is noticed by the kernel. */
  readonly keepAliveMs: number;
  readonly proofSource?: ProofSource | undefined;
}

/** The connections' TLS material and who we are, read again when their files change, asked for again when it has expired. */
export class Credentials {
  readonly #configuration: KubeConfiguration;
  readonly #clock: Clock;
  readonly #http: HttpAgent;
  readonly #keepAliveMs: number;
  /** Once for all that wait: it may be a person who is asked. */
  readonly #asking: SharedCall<void> | undefined;
  #proof: Proof | undefined;
  #https: HttpsAgent;
  #token: string | undefined;
  #stamp: string;
  #checkedAtMs: number;
  #version = 0;

  constructor(configuration: KubeConfiguration, { clock, keepAliveMs, proofSource }: CredentialsOptions) {
    this.#configuration = configuration;
    this.#clock = clock;
    this.#keepAliveMs = keepAliveMs;
    this.#asking = proofSource && new SharedCall(async (signal) => this.#prove(checked(await proofSource(signal))));
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

  /** Changes with what we prove who we are with. */
  get version(): number {
    return this.#version;
  }

  /** To be waited for before each request: a proof that nobody has yet, or that has expired, is asked for. */
  async ready(signal: AbortSignal | undefined): Promise<void> {
    const { expiresAtMs = Infinity } = this.#proof ?? { expiresAtMs: 0 };
    if (this.#clock.now() >= expiresAtMs) await this.#asking?.wait(signal);
  }

  headers(): Record<string, string | string[]> {
    if (this.#nowMs() - this.#checkedAtMs >= rereadMs) this.#readAgain();
    const authorization = this.#authorization();
    const { impersonation = {} } = this.#configuration;
    const copied = Object.entries(impersonation).map(([name, value]) => [
      name,
      typeof value === 'string' ? value : [...value],
    ]);
    return { ...Object.fromEntries(copied), ...(authorization !== undefined && { authorization }) };
  }

  /** After a refusal of that version; true when there is another one now, so that the request is worth repeating. */
  async renew(refused: number, signal: AbortSignal | undefined): Promise<boolean> {
    if (this.#version === refused && this.#asking !== undefined) await this.#asking.wait(signal);
    else if (this.#version === refused) this.#readAgain();
    return this.#version !== refused;
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }

  #authorization(): string | undefined {
    const token = this.#token ?? this.#proof?.token;
    if (token !== undefined) return `Bearer ${token}`;
    const { basic } = this.#configuration;
    if (basic === undefined) return undefined;
    return `Basic ${Buffer.from(`${basic.username}:${basic.password}`).toString('base64')}`;
  }

  // Reads changed files now.
  #readAgain(): void {
    this.#checkedAtMs = this.#nowMs();
    const stamp = this.#filesStamp();
    if (stamp === this.#stamp) return;
    try {
      const token = bearerToken(this.#configuration);
      this.#replaceAgent(this.#newAgent(this.#proof));
      this.#token = token;
      this.#stamp = stamp;
    } catch {
      // In the middle of a rotation: what we have stays good, the next check reads again.
    }
  }

  // What cannot be used is not kept: who comes next asks again.
  #prove(proof: Proof): void {
    const isSameCertificate = proof.cert === this.#proof?.cert && proof.key === this.#proof?.key;
    if (isSameCertificate) this.#version++;
    else this.#replaceAgent(this.#newAgent(proof));
    this.#proof = proof;
  }

  #replaceAgent(agent: HttpsAgent): void {
    this.#https.destroy();
    this.#https = agent;
    this.#version++;
  }

  #newAgent({ cert, key }: Proof = {}): HttpsAgent {
    const own = { ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) };
    return new HttpsAgent({
      ...this.#agentOptions(),
      rejectUnauthorized: !this.#configuration.insecureSkipTlsVerify,
      // Made once, and so what cannot be used is told before anything is asked.
      secureContext: secureContext({ ...tlsOptions(this.#configuration), ...own }),
    });
  }

  #agentOptions() {
    const { proxyUrl } = this.#configuration;
    return {
      keepAlive: true,
      keepAliveMsecs: this.#keepAliveMs,
      maxFreeSockets: idleConnectionsMax,
      ...(proxyUrl !== undefined && { proxyEnv: { HTTP_PROXY: proxyUrl, HTTPS_PROXY: proxyUrl } }),
    };
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
function tlsOptions(configuration: KubeConfiguration): SecureContextOptions {
  const { ca, caFile, cert, certFile, key, keyFile } = configuration;
  const [caText, certText, keyText] = [ca ?? read(caFile), cert ?? read(certFile), key ?? read(keyFile)];
  return {
    minVersion: 'TLSv1.2',
    ...(caText !== undefined && { ca: caText }),
    ...(certText !== undefined && { cert: certText }),
    ...(keyText !== undefined && { key: keyText }),
  };
}

function secureContext(options: SecureContextOptions) {
  // Of an authority that is none OpenSSL says nothing: no server would be the right one.
  if (options.ca !== undefined && !/-----BEGIN [A-Z ]*CERTIFICATE-----/.test(String(options.ca))) {
    throw new KubeError('credentials', `${tlsParts.ca} cannot be used: there is no certificate in PEM`);
  }
  try {
    return createSecureContext(options);
  } catch (cause) {
    const part = (['ca', 'cert', 'key'] as const).find((name) => !isUsable({ [name]: options[name] }));
    const what = part === undefined ? 'the client certificate and its key' : tlsParts[part];
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new KubeError('credentials', `${what} cannot be used: ${why}`, { cause });
  }
}

const tlsParts = {
  ca: "the authority of the API server's certificate",
  cert: 'the client certificate',
  key: "the client certificate's key",
} as const;

function isUsable(options: SecureContextOptions): boolean {
  try {
    createSecureContext(options);
    return true;
  } catch {
    return false;
  }
}

/** The token to send, if there is one; throws for text that would end the header line. */
function bearerToken({ token, tokenFile }: KubeConfiguration): string | undefined {
  const text = (tokenFile === undefined ? token : read(tokenFile))?.trim();
  if (text !== undefined && !isToken(text)) throw new Error(`the token in ${tokenFile ?? 'the kubeconfig'} is not one`);
  return text;
}

function checked(proof: Proof): Proof {
  if (proof.token !== undefined && !isToken(proof.token)) {
    throw new KubeError(
      'credentials',
      'the token that was given is none: it has blanks, line ends or other characters',
    );
  }
  return proof;
}

const isToken = (text: string): boolean => /^[\x21-\x7e]+$/.test(text);

function read(path: string | undefined): string | undefined {
  return path === undefined ? undefined : readFileUpTo(path, fileBytesMax);
}

function fileStamp(path: string | undefined): string {
  if (path === undefined) return '-';
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat ? `${stat.ino}:${stat.size}:${stat.mtimeMs}` : 'missing';
}
