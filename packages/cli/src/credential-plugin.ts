/** Who we are by a program of the user's: `user.exec` of a kubeconfig, client.authentication.k8s.io/v1 and v1beta1 (KEP-541). */
import { spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  type CredentialPlugin,
  Field,
  type KubeConfiguration,
  KubeError,
  type Proof,
  type ProofSource,
} from '@sluice/kube';
import type { Context } from './context.ts';
import { tell } from './output.ts';

/** A person may have to log in meanwhile. */
const answerMs = 300_000;
/** After which it is told what is waited for. */
const patienceMs = 5_000;
const answerBytesMax = 1 << 20;

/** Runs the program each time that it is asked; when to ask is the client's to know. */
export function credentialPlugin(
  plugin: CredentialPlugin,
  configuration: KubeConfiguration,
  context: Context,
): ProofSource {
  return async (signal) => {
    const { plugin: _plugin, ...cluster } = configuration;
    const isInteractive = isInteractiveFor(plugin, context);
    const question = questionOf(plugin, cluster, isInteractive);
    const waiting = setTimeout(() => tell(context, `waiting for ${plugin.command} to log in`), patienceMs);
    try {
      const ended = AbortSignal.any([signal, context.signal]);
      const answer = await run({ plugin, question, isInteractive, context, signal: ended });
      return proofOf(answer, plugin);
    } finally {
      clearTimeout(waiting);
    }
  };
}

function failed({ command }: CredentialPlugin, why: string, cause?: unknown): KubeError {
  return new KubeError('credentials', `credential plugin ${command}: ${why}`, { cause });
}

function isInteractiveFor(plugin: CredentialPlugin, { isInputTerminal = false }: Context): boolean {
  const { interactiveMode } = plugin;
  if (interactiveMode === 'Always' && !isInputTerminal) {
    throw failed(plugin, 'it has to ask a person (interactiveMode: Always), and the standard input is no terminal');
  }
  return interactiveMode !== 'Never' && isInputTerminal;
}

/** What it finds in KUBERNETES_EXEC_INFO. */
function questionOf(
  { apiVersion, clusterInfo }: CredentialPlugin,
  cluster: KubeConfiguration,
  interactive: boolean,
): string {
  const spec = { interactive, ...(clusterInfo && { cluster: { ...clusterOf(cluster), config: clusterInfo.config } }) };
  return JSON.stringify({ kind: 'ExecCredential', apiVersion, spec });
}

function clusterOf({ servers, ca, caFile, serverName, insecureSkipTlsVerify, proxyUrl }: KubeConfiguration): object {
  const authority = ca ?? (caFile === undefined ? undefined : readFileSync(caFile, 'utf8'));
  return {
    server: servers[0],
    'tls-server-name': serverName,
    'insecure-skip-tls-verify': insecureSkipTlsVerify,
    'certificate-authority-data': authority === undefined ? undefined : Buffer.from(authority).toString('base64'),
    'proxy-url': proxyUrl,
  };
}

interface Running {
  readonly plugin: CredentialPlugin;
  readonly question: string;
  readonly isInteractive: boolean;
  readonly context: Context;
  readonly signal: AbortSignal;
}

/** Its standard output; what it says to people goes to them. */
function run({ plugin, question, isInteractive, context, signal }: Running): Promise<string> {
  const { command, args, env, installHint } = plugin;
  const child = spawn(command, args, {
    env: { ...context.environment, ...env, KUBERNETES_EXEC_INFO: question },
    stdio: [isInteractive ? 'inherit' : 'ignore', 'pipe', 'pipe'],
    signal,
    timeout: answerMs,
  });
  return new Promise((resolve, reject) => {
    const output: Buffer[] = [];
    let size = 0;
    child.stdout?.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= answerBytesMax) output.push(chunk);
      else child.kill('SIGKILL');
    });
    child.stderr?.on('data', (chunk: Buffer) => context.err.write(chunk.toString('utf8')));
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (signal.aborted) reject(new KubeError('aborted', `${command}: given up`, { cause: error }));
      else reject(failed(plugin, notStarted(error, installHint), error));
    });
    child.once('close', (code, by) => {
      if (size > answerBytesMax) reject(failed(plugin, `it says more than ${answerBytesMax} bytes`));
      else if (by !== null)
        reject(failed(plugin, `ended by ${by}${child.killed ? ` after ${answerMs / 1000} s` : ''}`));
      else if (code !== 0) reject(failed(plugin, `ended with exit status ${code}; what it says stands above`));
      else resolve(Buffer.concat(output).toString('utf8'));
    });
  });
}

function notStarted({ code, message }: NodeJS.ErrnoException, installHint: string | undefined): string {
  if (code !== 'ENOENT') return `it cannot be run: ${message}`;
  const hint = installHint?.trim().replaceAll(/\s*\n\s*/g, ' ');
  return `it is not installed${hint ? `: ${hint}` : '; it is no program that PATH finds'}`;
}

/** An ExecCredential of the version that was asked for, with a token, or a certificate and its key. */
function proofOf(answer: string, plugin: CredentialPlugin): Proof {
  const root = new Field(parsed(answer, plugin));
  const [kind, apiVersion] = [root.get('kind').text(), root.get('apiVersion').text()];
  if (kind !== 'ExecCredential' || apiVersion !== plugin.apiVersion) {
    throw failed(plugin, `it answers with ${kind} of ${apiVersion}, not ExecCredential of ${plugin.apiVersion}`);
  }
  const status = root.get('status');
  const token = status.get('token').text()?.trim() || undefined;
  const cert = status.get('clientCertificateData').text() || undefined;
  const key = status.get('clientKeyData').text() || undefined;
  const expiresAtMs = status.get('expirationTimestamp').time();
  if (root.problems[0]) throw failed(plugin, root.problems[0]);
  if (token === undefined && cert === undefined && key === undefined)
    throw failed(plugin, 'it answers with neither a token nor a certificate');
  if ((cert === undefined) !== (key === undefined))
    throw failed(plugin, 'a certificate goes with a key, and it has one alone');
  if (cert !== undefined) checkPair(cert, plugin);
  return {
    ...(token !== undefined && { token }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(expiresAtMs !== undefined && { expiresAtMs }),
  };
}

function parsed(answer: string, plugin: CredentialPlugin): unknown {
  try {
    return JSON.parse(answer);
  } catch {
    // Not what it says: it may be the secret.
    throw failed(plugin, answer.trim() === '' ? 'it answers nothing' : 'its answer is no JSON');
  }
}

function checkPair(cert: string, plugin: CredentialPlugin): void {
  try {
    new X509Certificate(cert);
  } catch (cause) {
    throw failed(plugin, 'its clientCertificateData is no certificate in PEM', cause);
  }
}
