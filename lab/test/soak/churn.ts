// What comes and goes beside that which is asked. Each takes away what it made when the soak has ended.
import { seededRandom } from '@sluice/testing';
import { pause, type SoakRun, say } from './run.ts';

const podsMs = 3_000;
const replicasMax = 9;
const servicesMs = 1_000;
const serviceCount = 20;
const powerMs = 15_000;

/** The plugin is called, addresses and identities are given and come back. */
export async function churnPods({ lab, options, ended }: SoakRun): Promise<void> {
  const random = seededRandom(options.seed + 1);
  const scale = (replicas: number) => lab.must('kubectl', 'scale', 'deployment/churn', `--replicas=${replicas}`);
  await lab.must('kubectl', 'create', 'deployment', 'churn', '--image=sluice-lab/echo');
  while (!ended.aborted) {
    await scale(Math.floor(random() * (replicasMax + 1)));
    await pause(podsMs, ended);
  }
  await scale(replicasMax);
  await lab.must('kubectl', 'rollout', 'status', 'deployment/churn', '--timeout=120s');
  await lab.must('kubectl', 'delete', 'deployment/churn');
  await lab.must('kubectl', 'wait', '--for=delete', 'pod', '-l', 'app=churn', '--timeout=120s');
}

/** Services are made, changed and taken away again, with the pods that churn and those that stay behind them. */
export async function churnServices({ lab, options, ended }: SoakRun): Promise<void> {
  const random = seededRandom(options.seed + 2);
  const present = new Set<string>();
  while (!ended.aborted) {
    const name = `churn-${Math.floor(random() * serviceCount)}`;
    const app = random() < 0.5 ? 'web' : 'churn';
    if (!present.has(name)) {
      const port = 1024 + Math.floor(random() * 60_000);
      await lab.must('kubectl', 'create', 'service', 'clusterip', name, `--tcp=${port}:8080`);
      present.add(name);
    } else if (random() < 0.5) {
      await lab.must('kubectl', 'patch', 'service', name, '-p', JSON.stringify({ spec: { selector: { app } } }));
    } else {
      await lab.must('kubectl', 'delete', 'service', name);
      present.delete(name);
    }
    await pause(servicesMs, ended);
  }
  if (present.size > 0) await lab.must('kubectl', 'delete', 'service', ...present);
}

/** A node loses its power or its cable, or is switched off in order, and comes back. */
export async function churnNode({ lab, options, shaken, ended }: SoakRun): Promise<void> {
  const random = seededRandom(options.seed + 3);
  const ways = [
    [
      ['node', 'kill'],
      ['node', 'start'],
    ],
    [
      ['node', 'stop'],
      ['node', 'start'],
    ],
    [
      ['link', 'cut'],
      ['link', 'heal'],
    ],
  ] as const;
  while (!ended.aborted) {
    const [[offWhat, off], [onWhat, on]] = ways[Math.floor(random() * ways.length)] ?? ways[0];
    say(`${offWhat} ${off} ${shaken.name}`);
    await lab.must(offWhat, off, shaken.name);
    await pause(powerMs * random(), ended);
    say(`${onWhat} ${on} ${shaken.name}`);
    // A busy machine is late. Whether the node comes back is judged at the end.
    const { status, stderr } = await lab.run(onWhat, on, shaken.name);
    if (status !== 0) say(stderr.trim());
    await pause(powerMs, ended);
  }
}
