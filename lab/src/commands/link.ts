import { askDaemon } from '../daemon/control.ts';
import type { LinkAction } from '../daemon/machines.ts';
import { LabError } from '../error.ts';
import { cablesOf } from '../topology.ts';
import { existingLab, type LabContext, withLock } from './context.ts';
import { answered, requireNode } from './node.ts';

/** Cuts or mends the cable of a node's device, or of all its devices. */
export async function setLink(
  name: string,
  { node, device, action }: { node: string; device: string | undefined; action: LinkAction },
  { print }: LabContext,
): Promise<void> {
  const lab = existingLab(name);
  requireNode(lab, node);
  const devices = cablesOf(lab.topology, node).map(({ near }) => near.device);
  if (device !== undefined && !devices.includes(device))
    throw new LabError(`${node} has no cable at ${device}`, { hint: `its devices: ${devices.join(', ')}` });
  await withLock(lab.layout, async () => {
    const { text, isDone } = answered(
      lab.layout,
      await askDaemon(lab.layout.socket, '/link', { name: node, action, device }),
    );
    print(text);
    if (action === 'cut' && isDone && (device === undefined || device === devices[0]))
      print('The node goes on by itself; the cluster notices when the API server has not heard of it for 40 s.');
  });
}
