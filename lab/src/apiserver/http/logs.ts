import type { IncomingMessage, ServerResponse } from 'node:http';
import { ApiError, badRequest } from '../api-error.ts';
import type { Pod } from '../kinds/types.ts';
import type { PodHooks } from '../server.ts';
import { booleanParameter, integerParameter } from './selection.ts';

/** Streams the output of a container, from the kubelet's hook. */
export async function serveLogs(
  hooks: PodHooks,
  { pod, query }: { pod: Pod; query: URLSearchParams },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const container = chosenContainer(pod, query.get('container'));
  if (!hooks.podLogs || !pod.spec.nodeName)
    throw badRequest(`container "${container}" in pod "${pod.metadata.name}" is waiting to start: ContainerCreating`);
  const abort = new AbortController();
  response.on('close', () => abort.abort());
  const lines = hooks.podLogs(pod, {
    container,
    follow: booleanParameter(query, 'follow'),
    tailLines: integerParameter(query, 'tailLines'),
    sinceSeconds: integerParameter(query, 'sinceSeconds'),
    previous: booleanParameter(query, 'previous'),
    timestamps: booleanParameter(query, 'timestamps'),
    signal: abort.signal,
  });
  response.writeHead(200, { 'content-type': 'text/plain' });
  response.flushHeaders();
  for await (const chunk of lines) {
    if (abort.signal.aborted) break;
    if (!response.write(chunk)) await Promise.race([once(response, 'drain'), once(request, 'close')]);
  }
  response.end();
}

function once(emitter: NodeJS.EventEmitter, event: string): Promise<void> {
  return new Promise((resolve) => emitter.once(event, () => resolve()));
}

/** The container asked for, or the only one. */
export function chosenContainer(pod: Pod, wanted: string | null): string {
  const names = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].map((container) => container.name);
  if (wanted) {
    if (!names.includes(wanted)) throw badRequest(`container ${wanted} is not valid for pod ${pod.metadata.name}`);
    return wanted;
  }
  const [only, second] = names;
  if (only === undefined) throw new ApiError(500, 'InternalError', `pod ${pod.metadata.name} has no containers`);
  if (second !== undefined)
    throw badRequest(
      `a container name must be specified for pod ${pod.metadata.name}, choose one of: [${names.join(' ')}]`,
    );
  return only;
}
