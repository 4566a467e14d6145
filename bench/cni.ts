// How long a pod's ADD and DEL take, with the real executable and a real agent: node bench/cni.ts [COUNT]. Needs root.
import { temporaryNetworkNamespace } from '@sluice/testing';
import { agentNode } from '../packages/agent/test/agent-process.ts';

const count = Number(process.argv[2] ?? 50);
await using node = agentNode();
await node.start();
const addMs: number[] = [];
const delMs: number[] = [];
for (let index = 0; index < count; index += 1) {
  using pod = temporaryNetworkNamespace();
  addMs.push(timed(() => node.cni('ADD', `bench${index}`, pod.path)));
  delMs.push(timed(() => node.cni('DEL', `bench${index}`, pod.path)));
}
console.log(`ADD ${quantiles(addMs)}`);
console.log(`DEL ${quantiles(delMs)}`);

function timed(run: () => { status: number | null; body: object }): number {
  const startedNs = process.hrtime.bigint();
  const { status, body } = run();
  if (status !== 0) throw new Error(`sluice-cni failed: ${JSON.stringify(body)}`);
  return Number(process.hrtime.bigint() - startedNs) / 1e6;
}

function quantiles(values: number[]): string {
  const sorted = values.toSorted((left, right) => left - right);
  const at = (share: number) =>
    (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0).toFixed(1);
  return `p50 ${at(0.5)} ms, p90 ${at(0.9)} ms, most ${at(1)} ms of ${sorted.length}`;
}
