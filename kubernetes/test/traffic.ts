/** A pod that asks a service again and again, ten times a second, and writes down what came: no API server is in its way. */
import assert from 'node:assert/strict';
import { eventually } from '../cluster.ts';
import { image, pod, type TestNamespace } from './workload.ts';

export interface Traffic {
  /** Until now nothing has failed, and something was asked since the last time. */
  mustBeWhole(): Promise<void>;
}

export interface TrafficPlan {
  readonly name: string;
  readonly node: string;
  readonly url: string;
}

/** Each request is a connection of its own; the first is answered when this resolves. */
export async function startTraffic(namespace: TestNamespace, { name, node, url }: TrafficPlan): Promise<Traffic> {
  const ask = `curl -sS -m 5 -o /dev/null '${url}' 2>&1`;
  const loop = `until ${ask}; do sleep 0.2; done; while :; do if said=$(${ask}); then echo ok; else echo "$(date +%T) $said"; fi; sleep 0.1; done`;
  await pod({
    namespace: namespace.name,
    name,
    node,
    container: { name: 'main', image, command: ['sh', '-c', loop], args: [] },
  });
  let seen = 0;
  const lines = async () =>
    (await namespace.kubectl('logs', name, '--tail=-1')).split('\n').filter((line) => line !== '');
  await eventually(60, async () => assert.ok((await lines()).includes('ok'), `${name} gets an answer from ${url}`));
  return {
    async mustBeWhole() {
      const said = await lines();
      const failed = said.filter((line) => line !== 'ok' && !line.startsWith('curl'));
      assert.deepEqual(failed, [], `${name} asked ${url}: ${failed.length} of ${said.length} failed`);
      assert.ok(said.length > seen, `${name} asked nothing more since the last look`);
      seen = said.length;
    },
  };
}
