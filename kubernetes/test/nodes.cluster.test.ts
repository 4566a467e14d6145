// Nodes that change under their pods: another name, another pod CIDR, one that cannot be. Run by `npm run test:kubernetes`.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  apply,
  eventually,
  fromOutside,
  kubectl,
  must,
  on,
  onRun,
  recipe,
  root,
  run,
  sluice,
  start,
  stop,
} from '../cluster.ts';
import { untilReady } from '../install.ts';
import { tablesEqualApi } from './tables.ts';
import { startTraffic } from './traffic.ts';
import { pod, type TestNamespace, testNamespace, web } from './workload.ts';

/** Those that the first start of the cluster gave it; cp has routes to them. */
const podCidrs = ['10.244.2.0/24', 'fd00:10:244:2::/64'];

/** A Node object in the place of the former one, as its kubelet would have registered it. */
async function replaceNode(name: string, cidrs: readonly string[]): Promise<void> {
  await kubectl('delete', 'node', name, '--ignore-not-found', '--wait');
  const labels = { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux', 'kubernetes.io/arch': 'amd64' };
  const spec = { podCIDR: cidrs[0], podCIDRs: cidrs };
  await apply(JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name, labels }, spec }));
}

/** Until the kubelet has told what the new object has room for, it refuses every pod. */
async function takesPods(name: string): Promise<void> {
  const path = 'jsonpath={.status.allocatable.pods}';
  await eventually(60, async () => assert.match(await kubectl('get', 'node', name, '-o', path), /^[1-9]/));
}

/** The kubelet of machine n3, by another name or by its own. */
async function startKubelet(name: string): Promise<void> {
  await must(join(recipe, 'start.sh'), ['n3', 'kubelet'], { environment: { NODE_NAME: name } });
}

/** Running, and answered by the service of the others, which asks it, too. */
async function reaches(namespace: TestNamespace, name: string, url: string): Promise<string> {
  await namespace.kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=120s').catch(async (cause) => {
    throw new Error(await namespace.kubectl('describe', 'pod', name), { cause });
  });
  await eventually(30, async () => assert.match(await namespace.exec(name, 'curl', '-sS', '-m', '2', url), /^web-/));
  return namespace.kubectl('get', 'pod', name, '-o', 'jsonpath={.status.podIP}');
}

async function events(node: string): Promise<string> {
  return kubectl('get', 'events', '-A', '--field-selector', `involvedObject.kind=Node,involvedObject.name=${node}`);
}

async function statusOf(node: string): Promise<string> {
  const { stdout, stderr } = await onRun(node, process.execPath, join(root, 'dist/sluice.js'), 'status', '--verbose');
  return stdout + stderr;
}

// Traffic between n1 and n2 is none of n3's business; by address, for CoreDNS may be on n3.
async function story(name: string) {
  const namespace = await testNamespace(name);
  await web({ namespace: namespace.name, name: 'web', replicas: 2, node: 'n2' });
  await namespace.kubectl('rollout', 'status', 'deployment/web', '--timeout=60s');
  const address = await namespace.kubectl('get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}');
  const url = `http://${address}/hostname`;
  return { namespace, url, traffic: await startTraffic(namespace, { name: 'client', node: 'n1', url }) };
}

after(async () => {
  await untilReady();
  await tablesEqualApi();
});

test('a pod CIDR among the services is refused: an Event on the Node and the status say why, its pods go on', async () => {
  const { namespace, url, traffic } = await story('story-refused');
  await using _namespace = namespace;
  await replaceNode('n3', ['10.96.128.0/24', podCidrs[1] ?? '']);
  try {
    await eventually(60, async () =>
      assert.match(
        await events('n3'),
        /PodCIDRRefused.*10\.96\.128\.0\/24 overlaps 10\.96\.0\.0\/16, where services are/,
      ),
    );
    await eventually(60, async () =>
      assert.match(await sluice('n1', 'node', 'list', '-o', 'yaml'), /10\.96\.128\.0\/24 overlaps/),
    );
    await traffic.mustBeWhole();
  } finally {
    await replaceNode('n3', podCidrs);
  }
  await untilReady();
  await takesPods('n3');
  await pod({ namespace: namespace.name, name: 'late', node: 'n3' });
  await reaches(namespace, 'late', url);
  await traffic.mustBeWhole();
});

test('a node with another pod CIDR gives new pods addresses of that; those with one of the former are told', async () => {
  const { namespace, url, traffic } = await story('story-pod-cidr');
  await using _namespace = namespace;
  await pod({ namespace: namespace.name, name: 'early', node: 'n3' });
  await reaches(namespace, 'early', url);
  await replaceNode('n3', ['10.244.77.0/24', 'fd00:10:244:77::/64']);
  try {
    await eventually(60, async () => assert.match(await sluice('n1', 'node', 'list'), /10\.244\.77\.0\/24/));
    await eventually(60, async () => assert.match(await statusOf('n3'), /10\.244\.2\.\d+ and .* not of a pod CIDR/));
    await eventually(60, async () =>
      assert.match(
        await namespace.kubectl('get', 'events', '--field-selector', 'involvedObject.name=early'),
        /EndpointNotConnected.*delete the pod/,
      ),
    );
    await takesPods('n3');
    await pod({ namespace: namespace.name, name: 'late', node: 'n3' });
    assert.match(await reaches(namespace, 'late', url), /^10\.244\.77\./);
    await traffic.mustBeWhole();
  } finally {
    await namespace.kubectl('delete', 'pod', 'late', '--ignore-not-found', '--wait');
    await replaceNode('n3', podCidrs);
  }
  await untilReady();
  await takesPods('n3');
  await pod({ namespace: namespace.name, name: 'last', node: 'n3' });
  assert.match(await reaches(namespace, 'last', url), /^10\.244\.2\./);
});

test('a node that comes back under another name is another node, refused its addresses until the former is gone', async () => {
  const { namespace, url, traffic } = await story('story-renamed');
  await using _namespace = namespace;
  await must(join(recipe, 'parts/certificates.sh'), ['renamed']);
  await stop('n3', 'kubelet');
  await startKubelet('renamed');
  try {
    await eventually(60, async () => assert.match(await sluice('n1', 'node', 'list'), /renamed/));
    await eventually(60, async () => assert.match(await statusOf('n1'), /10\.10\.30\.103/));
    await kubectl('delete', 'node', 'n3', '--wait');
    await kubectl('wait', '--for=condition=Ready', 'node/renamed', '--timeout=90s');
    // The agent of the one name gives addresses until the kubelet of the other ends it; the next one tells of those.
    await eventually(60, async () => assert.match(await statusOf('n3'), /^Node: +renamed /m));
    await pod({ namespace: namespace.name, name: 'late', node: 'renamed' });
    await reaches(namespace, 'late', url);
    await traffic.mustBeWhole();
  } finally {
    await stop('n3', 'kubelet');
    await kubectl('delete', 'node', 'renamed', '--wait');
    await replaceNode('n3', podCidrs);
    await start('n3', 'kubelet');
  }
  await eventually(60, async () => assert.match(await statusOf('n3'), /^Node: +n3 /m));
  await kubectl('--namespace', 'kube-system', 'rollout', 'restart', 'deployment/coredns');
  await untilReady();
  await traffic.mustBeWhole();
});

test('an agent that cannot start for want of its image: the status of the cluster says so, and traffic goes on', async () => {
  const { namespace, traffic } = await story('story-image');
  await using _namespace = namespace;
  const ctr = (...words: readonly string[]) => on('n2', 'ctr', '-n', 'k8s.io', 'images', ...words);
  const name = 'localhost/sluice:0.1.0';
  await ctr('tag', name, 'localhost/kept:1');
  await ctr('rm', name);
  const agents = ['--namespace', 'kube-system', '-l', 'app.kubernetes.io/name=sluice-agent'];
  try {
    await kubectl('delete', 'pod', ...agents, '--field-selector', 'spec.nodeName=n2', '--wait');
    await eventually(60, async () =>
      assert.match(
        (await run(...fromOutside('status'))).stdout,
        /^n2: the agent has not started: (ErrImage|ImagePullBackOff)/m,
      ),
    );
    await traffic.mustBeWhole();
  } finally {
    await ctr('tag', 'localhost/kept:1', name);
    await ctr('rm', 'localhost/kept:1');
  }
  await untilReady();
  await traffic.mustBeWhole();
});
