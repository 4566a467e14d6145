import { join } from 'node:path';
import { formatAddressPort, parseAddress } from '@sluice/net';
import { installationRoot } from '@sluice/runtime';
import type { LabTopology } from '../topology.ts';
import { clientName } from '../world.ts';

/** What `sluice connectivity test` is told of a lab: a server outside of it, and a machine from which to come. */
export function connectivityEnvironment(name: string, { world }: LabTopology): Record<string, string> {
  const servers = Object.values(world.internet).map((address) => formatAddressPort(parseAddress(address), world.port));
  return {
    SLUICE_WORLD: servers.join(' '),
    SLUICE_OUTSIDE: `${join(installationRoot(), 'bin/sluice')} lab exec --name ${name} ${clientName} --`,
  };
}
