import { join } from 'node:path';
import { labCgroup } from '../host/cgroup.ts';
import { labPod } from '../host/program.ts';
import type { LabLayout } from '../layout.ts';
import type { LabTopology } from '../topology.ts';
import { internetName } from '../world.ts';
import { type Supervised, supervise } from './supervisor.ts';

/** The server outside, at all addresses of its host. Like the real one it does not care whether the cluster's daemon runs. */
export function startInternet(layout: LabLayout, { world }: LabTopology, log: (message: string) => void): Supervised {
  const port = String(world.port);
  return supervise({
    name: internetName,
    cgroup: join(labCgroup(layout.name), internetName, 'server'),
    netns: layout.netns(internetName),
    hostname: internetName,
    command: [labPod, 'echo', '--tcp', port, '--udp', port],
    logFile: join(layout.logs, `${internetName}.log`),
    pidFile: join(layout.directory, `${internetName}.pid`),
    log,
  });
}
