import { join } from 'node:path';
import type { NodeLayout } from '@sluice/lab';
import { installationRoot } from '@sluice/runtime';
import { untilReady } from '../../lab/test/agents.ts';
import { type TestLab, testLab } from '../../lab/test/test-lab.ts';

/** The homelab with the sample workload, every pod ready: three nodes, some 30 pods and 40 services. */
export interface Homelab extends AsyncDisposable {
  readonly lab: TestLab;
  readonly nodes: readonly NodeLayout[];
  /** How much of what is in it, in words. */
  load(): Promise<string>;
}

const nodeNames = ['k8s-cp1', 'k8s-cp2', 'k8s-cp3'];
export const sluice = join(installationRoot(), 'bin/sluice');

export async function homelab(): Promise<Homelab> {
  const lab = testLab();
  try {
    await lab.must('up');
    await lab.must('kubectl', 'create', '-f', join(installationRoot(), 'examples/demo'));
    await lab.must('kubectl', 'wait', '--for=condition=Ready', 'pod', '--all', '-A', '--timeout=60s');
    const nodes = nodeNames.map((name) => lab.layout.node(name));
    await Promise.all(nodes.map((node) => untilReady(node)));
    return { lab, nodes, load: () => loadOf(lab), [Symbol.asyncDispose]: () => lab[Symbol.asyncDispose]() };
  } catch (error) {
    await lab[Symbol.asyncDispose]();
    throw error;
  }
}

async function loadOf(lab: TestLab): Promise<string> {
  const counts = ['nodes', 'services', 'endpointslices', 'pods'].map(async (kind) => {
    const names = await lab.must('kubectl', 'get', kind, '-A', '-o', 'name');
    return `${names.trim().split('\n').length} ${kind}`;
  });
  return `${(await Promise.all(counts)).join(', ')}, no traffic but the agents' own`;
}
