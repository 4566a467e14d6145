import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LabError } from '../error.ts';
import { isRunning } from '../host/process-id.ts';
import type { ContainerRecord, Sandbox } from '../kubelet/sandbox.ts';
import { nameOption } from '../layout.ts';
import type { ExistingLab } from './context.ts';

/** By name, or namespace and name; the beginning of the name is enough where it is the only one. */
export function findPod({ layout, topology }: ExistingLab, where: string): { sandbox: Sandbox; pid: number } {
  const [namespace, name] = where.includes('/') ? where.split('/', 2) : [undefined, where];
  const sandboxes = topology.nodes.flatMap((node) => sandboxesIn(layout.node(node.name).pods));
  const inNamespace = sandboxes.filter((sandbox) => namespace === undefined || sandbox.namespace === namespace);
  const exact = inNamespace.filter((sandbox) => sandbox.name === name);
  const found = exact.length > 0 ? exact : inNamespace.filter((sandbox) => sandbox.name.startsWith(name ?? ''));
  const [sandbox, other] = found;
  const pid = sandbox && runningProcess(sandbox);
  if (sandbox && !other && pid !== undefined) return { sandbox, pid };
  const names = found.slice(0, 5).map((pod) => `${pod.namespace}/${pod.name}`);
  if (other) throw new LabError(`${where} may be one of ${found.length} pods: ${names.join(', ')} ...`);
  if (sandbox) throw new LabError(`pod ${sandbox.namespace}/${sandbox.name} has no running process`);
  const hosts = [...topology.nodes, ...topology.surroundings].map((host) => host.name).join(', ');
  throw new LabError(`no host (${hosts}) and no pod is called ${where}`, {
    hint: `sluice lab kubectl${nameOption(layout.name)} get pods -A`,
  });
}

function sandboxesIn(pods: string): Sandbox[] {
  let uids: string[];
  try {
    uids = readdirSync(pods);
  } catch {
    return []; // the node has not started yet
  }
  return uids.flatMap((uid) => {
    try {
      return [JSON.parse(readFileSync(join(pods, uid, 'sandbox.json'), 'utf8'))];
    } catch {
      return []; // it came or went meanwhile
    }
  });
}

function runningProcess(sandbox: Sandbox): number | undefined {
  const files = readdirSync(sandbox.directory).filter((file) => /^container-.*\.json$/.test(file));
  const records = files.map((file): ContainerRecord => JSON.parse(readFileSync(join(sandbox.directory, file), 'utf8')));
  return records.find(({ process }) => process && isRunning(process))?.process?.pid;
}
