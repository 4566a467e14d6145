import assert from 'node:assert/strict';
import type { Place } from '../environment/inside.ts';
import { answeredPorts, type Target, untilAnswered } from '../environment/load.ts';
import { masqueradeScene } from '../peers/kernel-masquerade.ts';
import type { Figure, Row } from '../row.ts';

/** From each client. */
const firstPort = 1_024;
const portsPerClient = 16_384;
/** Without those of NodePorts. */
const ourRange = 64_512 - 2_768;
/** 1024 to 65535: as the kernel chooses for a client's port above 1023. */
const kernelRange = 64_512;

export const masqueradePorts: Row = {
  name: 'masquerade-ports',
  sentence:
    'Ports of the node that connections of several pods to one address outside get, until the first gets none; each is asked again when all are there',
  goal: '>= 99 % of the range, and none twice',
  async run({ progress }) {
    await using scene = await masqueradeScene();
    const { node, target, peers } = scene;
    const pods = await Promise.all(['first', 'second', 'third', 'fourth'].map((name) => node.pod(name)));
    const own = pods.map((place) => ({ place }));
    const figures: Figure[] = [];
    const contenders = [
      { name: 'Sluice', clients: own, range: ourRange },
      ...peers.map(({ peer, client, addAddress }) => {
        const clients = [3, 4, 5, 6].map((host) => ({ place: client, source: addAddress(host) }));
        return { name: peer, clients, range: kernelRange };
      }),
    ];
    for (const { name, clients, range } of contenders) {
      progress(name);
      for (const { place } of clients) await untilAnswered(place, target);
      const taken = await take(clients, target);
      const isOurs = name === 'Sluice';
      const whose = isOurs ? { goal: { atLeast: 0.99 } } : { peer: name };
      figures.push(
        { what: 'of the range, before the first gets none', value: Math.min(1, taken / range), unit: '', ...whose },
        { what: 'ports before the first gets none', value: taken, unit: '', ...(!isOurs && { peer: name }) },
      );
    }
    return {
      figures,
      notes: [
        'Each datagram has its own number, which must come back to its own socket, also when all were asked once: so no two connections have one port.',
        'A client keeps its own port where that is free, as the first pod does; the ports of the others are chosen. Ours are 1024 to 65535 without the NodePorts.',
        'The kernel’s rules choose at random among 64,512 ports.',
      ],
    };
  },
};

interface Client {
  readonly place: Place;
  readonly source?: string;
}

/** Until one gets none; then everybody who got one is asked again. */
async function take(clients: readonly Client[], target: Target): Promise<number> {
  const taken: { readonly client: Client; readonly count: number }[] = [];
  for (const client of clients) {
    const count = await ask(client, target, portsPerClient);
    taken.push({ client, count });
    if (count < portsPerClient) break;
  }
  for (const { client, count } of taken)
    if (count > 0) assert.equal(await ask(client, target, count), count, 'a connection has lost its port to another');
  return taken.reduce((sum, { count }) => sum + count, 0);
}

function ask({ place, source }: Client, target: Target, count: number): Promise<number> {
  return answeredPorts(place, target, { count, first: firstPort, ...(source && { source }) });
}
