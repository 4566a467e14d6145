// What a person or a machine does wrong, and what then says so. Run by `npm run test:kubernetes`.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually, kubectl, kubectlJson, must, on, onRun, root, runFolder, sluice, start, stop } from '../cluster.ts';
import { chart, helmRefuses, install, namespace as system, untilReady, values } from '../install.ts';
import { type Pod, tablesEqualApi } from './tables.ts';
import { startTraffic } from './traffic.ts';
import { pod, testNamespace, web } from './workload.ts';

/** What `sluice status` says, whether or not all is well. */
async function statusOf(node: string): Promise<string> {
  const { stdout, stderr } = await onRun(node, process.execPath, join(root, 'dist/sluice.js'), 'status');
  return stdout + stderr;
}

async function says(node: string, seconds: number, ...words: readonly RegExp[]): Promise<void> {
  await eventually(seconds, async () => {
    const status = await statusOf(node);
    for (const word of words) assert.match(status, word);
  });
}

async function replaceAgent(node: string): Promise<void> {
  const selector = ['-l', 'app.kubernetes.io/name=sluice-agent', '--field-selector', `spec.nodeName=${node}`];
  await kubectl('--namespace', system, 'delete', 'pod', ...selector, '--wait');
}

test('a second installation is refused, and the first goes on', async () => {
  const said = await helmRefuses('--namespace', 'default', 'install', 'another', chart, '--values', values);
  assert.match(said, /exists and cannot be imported into the current release/);
  await untilReady();
});

test('values of wrong types are refused with their path, before anything is changed', async () => {
  const configuration = () => kubectl('--namespace', system, 'get', 'configmap', 'sluice-config', '-o', 'json');
  const before = await configuration();
  assert.match(await helmRefuses('--namespace', system, 'upgrade', 'sluice', chart, '--set', 'MTU=large'), /\/?MTU/);
  assert.equal(await configuration(), before);
});

test('an agent without one of its rights says which, serves what it knows, and goes on when it has it', async () => {
  await using namespace = await testNamespace('story-right');
  await web({ namespace: namespace.name, name: 'web', replicas: 2 });
  await namespace.kubectl('rollout', 'status', 'deployment/web', '--timeout=60s');
  const url = `http://web.${namespace.name}.svc.cluster.local/hostname`;
  const traffic = await startTraffic(namespace, { name: 'client', node: 'n1', url });
  interface Role {
    readonly rules: readonly { readonly resources?: readonly string[] }[];
  }
  const role = await kubectlJson<Role>('get', 'clusterrole', 'sluice');
  const setRules = (rules: Role['rules']) =>
    kubectl('patch', 'clusterrole', 'sluice', '--type=merge', '-p', JSON.stringify({ rules }));
  const withoutSlices = role.rules.map((rule) => ({
    ...rule,
    ...(rule.resources && { resources: rule.resources.filter((name) => name !== 'endpointslices') }),
  }));
  await setRules(withoutSlices.filter(({ resources }) => resources === undefined || resources.length > 0));
  try {
    await replaceAgent('n1');
    await says('n1', 60, /endpointslices/, /forbidden/);
    await traffic.mustBeWhole();
  } finally {
    await setRules(role.rules);
  }
  await untilReady();
  await tablesEqualApi();
  await traffic.mustBeWhole();
});

test('of two operators one leads; when it is gone the other does', async () => {
  interface Lease {
    readonly spec: { readonly holderIdentity?: string };
  }
  const holder = async () =>
    (await kubectlJson<Lease>('--namespace', system, 'get', 'lease', 'sluice-operator')).spec.holderIdentity ?? '';
  await install('--set', 'operator.replicas=2');
  try {
    await untilReady();
    const first = await holder();
    const { items } = await kubectlJson<{ items: Pod[] }>(
      '--namespace',
      system,
      'get',
      'pods',
      '-l',
      'app.kubernetes.io/name=sluice-operator',
    );
    // It is named by its node.
    const leader = items.find(({ spec }) => first.startsWith(`${spec.nodeName}-`));
    assert.ok(leader, `${first} is one of ${items.map(({ metadata }) => metadata.name).join(', ')}`);
    await kubectl('--namespace', system, 'delete', 'pod', leader.metadata.name, '--grace-period=0', '--force');
    await eventually(60, async () => assert.notEqual(await holder(), first));
    await untilReady();
  } finally {
    await install();
  }
  await untilReady();
});

test('a CNI directory that cannot be written is told, and taken as soon as it can', async () => {
  await on('n3', 'mount', '-t', 'tmpfs', '-o', 'ro', 'tmpfs', '/etc/cni/net.d');
  try {
    await replaceAgent('n3');
    await says('n3', 60, /05-sluice\.conflist/, /EROFS|read-only/i);
  } finally {
    await on('n3', 'umount', '/etc/cni/net.d');
  }
  await replaceAgent('n3');
  await untilReady();
});

test('a full disk: no pod starts without its facts being kept, the Event says why, and then it starts', async () => {
  await using namespace = await testNamespace('story-full-disk');
  await web({ namespace: namespace.name, name: 'web', replicas: 2, node: 'n3' });
  await namespace.kubectl('rollout', 'status', 'deployment/web', '--timeout=60s');
  const url = `http://web.${namespace.name}.svc.cluster.local/hostname`;
  const traffic = await startTraffic(namespace, { name: 'client', node: 'n1', url });
  const sh = (script: string) => on('n3', 'sh', '-ec', script);
  // A small disk with the same content in its place; below it the former one is kept up to date at the end.
  await sh(`mkdir -p /run/state-below /run/small
    mount --bind /var/lib/sluice /run/state-below
    mount --make-private /run/state-below
    mount -t tmpfs -o size=2m tmpfs /run/small
    cp -a /var/lib/sluice/. /run/small
    mount --bind /run/small /var/lib/sluice`);
  try {
    await replaceAgent('n3');
    await untilReady();
    await on('n3', 'sh', '-c', 'dd if=/dev/zero of=/var/lib/sluice/filler bs=4k 2>/dev/null; true');
    await pod({ namespace: namespace.name, name: 'late', node: 'n3' });
    await eventually(60, async () =>
      assert.match(
        await namespace.kubectl('get', 'events', '--field-selector', 'involvedObject.name=late'),
        /FailedCreatePodSandBox.*(ENOSPC|no space left)/,
      ),
    );
    await traffic.mustBeWhole();
    await sh('rm /var/lib/sluice/filler');
    await namespace.kubectl('wait', '--for=condition=Ready', 'pod/late', '--timeout=90s');
  } finally {
    await sh(`rm -rf /run/state-below/*
      cp -a /run/small/. /run/state-below
      umount /var/lib/sluice; umount /run/small; umount /run/state-below`);
    await replaceAgent('n3');
  }
  await untilReady();
  await traffic.mustBeWhole();
  await tablesEqualApi();
});

test('a new certificate of the API server is taken', async () => {
  await using namespace = await testNamespace('story-certificate');
  await web({ namespace: namespace.name, name: 'web', replicas: 2 });
  await namespace.kubectl('rollout', 'status', 'deployment/web', '--timeout=60s');
  // The same names and key, signed anew.
  const script = `cd '${join(runFolder, 'pki')}'
    openssl x509 -in apiserver.crt -noout -serial
    openssl x509 -x509toreq -in apiserver.crt -signkey apiserver.key -copy_extensions copy -out next.csr
    openssl x509 -req -in next.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -copy_extensions copy -out apiserver.crt
    openssl x509 -in apiserver.crt -noout -serial`;
  const [before, now] = (await must('sh', ['-ec', script])).match(/serial=.*/g) ?? [];
  assert.ok(before && now && before !== now, `${before} ${now}`);
  await stop('cp', 'kube-apiserver', 'KILL');
  await start('cp', 'kube-apiserver');
  await eventually(60, () => kubectl('get', '--raw', '/readyz'));
  await namespace.kubectl('scale', 'deployment/web', '--replicas=3');
  await namespace.kubectl('rollout', 'status', 'deployment/web', '--timeout=90s');
  await tablesEqualApi();
  await untilReady();
});

test('the network gets a smaller MTU: large answers arrive, new pods have it, the status tells it', async () => {
  await using namespace = await testNamespace('story-mtu');
  await web({ namespace: namespace.name, name: 'web', replicas: 1, node: 'n2' });
  await pod({ namespace: namespace.name, name: 'client', node: 'n1' });
  await namespace.kubectl('rollout', 'status', 'deployment/web', '--timeout=60s');
  await namespace.kubectl('wait', '--for=condition=Ready', 'pod/client', '--timeout=60s');
  const command = encodeURIComponent('head -c 300000 /dev/zero | tr "\\0" x');
  const url = `http://web.${namespace.name}.svc.cluster.local/shell?shellCommand=${command}`;
  const large = async () => {
    const answer = await namespace.exec('client', 'sh', '-c', `curl -sS -m 20 '${url}' | wc -c`);
    assert.ok(Number(answer) > 300_000, answer);
  };
  const setMtu = async (mtu: number) => {
    for (const node of ['n1', 'n2']) await on(node, 'ip', 'link', 'set', 'eno1', 'mtu', String(mtu));
  };
  await large();
  await setMtu(1400);
  try {
    await eventually(20, large);
    await eventually(20, async () => assert.match(await sluice('n1', 'status'), /1350/));
    await pod({ namespace: namespace.name, name: 'new', node: 'n1' });
    await namespace.kubectl('wait', '--for=condition=Ready', 'pod/new', '--timeout=60s');
    assert.match(await namespace.exec('new', 'cat', '/sys/class/net/eth0/mtu'), /^1350$/m);
  } finally {
    await setMtu(1500);
  }
  await eventually(20, large);
});
