import { request } from 'node:http';
import { join } from 'node:path';
import { installationRoot } from '@sluice/runtime';
import { type Standing, startInside } from './inside.ts';

/** The made-up API server (bench/large-cluster.ts), a process of its own. */
export interface ApiServer extends AsyncDisposable {
  /** Creates or replaces an object, and tells when the event was written to the watches (CLOCK_MONOTONIC). */
  put(plural: string, key: string, object: object): Promise<{ writtenNs: bigint }>;
  /** Services that nobody asks, with endpoints that do not exist; so many have a NodePort, from the range's first on. */
  fill(options: { services: number; endpointsPerService: number; nodePorts: number }): Promise<void>;
  /** Anything else that it does. */
  ask(path: string, body?: string): Promise<string>;
}

export interface ApiServerOptions {
  readonly lan: string;
  readonly address: string;
  readonly port: number;
  readonly directory: string;
}

export async function startApiServer({ lan, address, port, directory }: ApiServerOptions): Promise<ApiServer> {
  const socketPath = join(directory, 'control.sock');
  const program = join(installationRoot(), 'bench/large-cluster.ts');
  const server: Standing = await startInside(
    { netns: lan },
    [process.execPath, program, String(port), address, socketPath],
    { onLine: () => undefined },
  );
  const ask = (path: string, body = '') => post(socketPath, path, body);
  return {
    ask,
    async put(plural, key, object) {
      const answer = await ask(`/put/${plural}?key=${encodeURIComponent(key)}`, JSON.stringify(object));
      return { writtenNs: BigInt(answer) };
    },
    async fill({ services, endpointsPerService, nodePorts }) {
      await ask(`/services?count=${services}&endpoints=${endpointsPerService}&nodePorts=${nodePorts}`);
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function post(socketPath: string, path: string, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, method: 'POST' }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => {
        if (response.statusCode === 200) resolve(text);
        else reject(new Error(`the made-up API server: ${path}: ${response.statusCode} ${text}`));
      });
    });
    asked.once('error', reject);
    asked.end(body);
  });
}
