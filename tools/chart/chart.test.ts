// The chart as people use it: the real helm and kubectl, against the lab's API server.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { startTestKubectl } from '../../lab/src/apiserver/test-kubectl.ts';
import { parseOptions } from '../../packages/agent/src/options.ts';
import { chartOptions, parseValues } from '../../packages/config/src/index.ts';
import { roles } from '../../packages/launcher/src/index.ts';
import { helm } from './helm.ts';
import { homelab, rendered } from './rendered.ts';

const options = { skip: !existsSync('dist/bin/helm') && 'not built: dist/bin/helm; npm run build makes it' };

async function object(kind: string, name: string, ...args: readonly string[]) {
  const { objects } = await rendered(...args);
  const found = objects.find((each) => each.kind === kind && each.metadata.name === name);
  assert.ok(found, `${kind} ${name}`);
  return found;
}

test('helm finds nothing wrong with the chart, and takes the values of the homelab', options, async () => {
  const { code, stdout } = await helm('lint', '--strict', 'charts/sluice', '--values', 'examples/homelab/values.yaml');
  assert.equal(code, 0, stdout);
});

test('the chart installs the version that it lies beside', options, async () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  const chart = parse(readFileSync('charts/sluice/Chart.yaml', 'utf8')) as { version: string; appVersion: string };
  assert.deepEqual([chart.version, chart.appVersion], [version, version]);
  const { spec } = (await object('DaemonSet', 'sluice')).spec.template;
  assert.equal(spec.containers[0].image, `localhost/sluice:${version}`);
});

test('a key without anything below it is refused by its name, not by where a template stumbles', options, async () => {
  for (const group of ['operator', 'image', 'cni', 'cgroup']) {
    const { code, stderr } = await helm('template', 'sluice', 'charts/sluice', '--set-json', `${group}=null`);
    assert.notEqual(code, 0, group);
    assert.match(stderr, new RegExp(`${group}: nothing stands below it; leave it out`));
    assert.doesNotMatch(stderr, /nil pointer/);
  }
});

test('the API server takes every object, warns of none, and kubectl deletes all of them', options, async () => {
  const { text, objects } = await rendered(...homelab);
  await using cluster = await startTestKubectl();
  const applied = await cluster.start(['apply', '--server-side', '-f', '-'], { stdin: text }).outcome;
  assert.deepEqual([applied.code, applied.stderr], [0, '']);
  assert.equal(applied.stdout.match(/serverside-applied/g)?.length, objects.length);
  await cluster.kubectl(['-n', 'kube-system', 'rollout', 'status', 'daemonset/sluice', '--timeout=20s']);
  await cluster.kubectl(['-n', 'kube-system', 'rollout', 'status', 'deployment/sluice-operator', '--timeout=20s']);
  const deleted = await cluster.kubectl(['delete', '-f', '-'], text);
  assert.equal(deleted.match(/ deleted/g)?.length, objects.length);
});

test('it is installed, upgraded and uninstalled; a second one in the same cluster is refused', options, async () => {
  await using cluster = await startTestKubectl();
  const place = ['--kubeconfig', cluster.api.server.kubeconfig, ...homelab];
  const run = async (...args: readonly string[]) => {
    const { code, stderr } = await helm(...args, ...place);
    assert.equal(code, 0, stderr);
  };
  const ours = [
    'get',
    'daemonset,deployment,configmap,serviceaccount,role,rolebinding',
    '-n',
    'kube-system',
    '-o',
    'name',
  ];
  const before = await cluster.kubectl(ours);
  await run('install', 'sluice', 'charts/sluice');
  const notes = async (...args: readonly string[]) =>
    (await helm('install', 'notes', 'charts/sluice', '--dry-run=client', ...args)).stdout;
  assert.match(await notes(), /No k8sServiceHost is given/);
  assert.doesNotMatch(await notes(...homelab), /No k8sServiceHost/);
  const second = await helm('install', 'other', 'charts/sluice', ...place);
  assert.notEqual(second.code, 0);
  assert.match(second.stderr, /"sluice" in namespace "kube-system" exists and cannot be imported/);
  await run('upgrade', 'sluice', 'charts/sluice', '--set', 'MTU=1400');
  const config = ['get', 'configmap', 'sluice-config', '-n', 'kube-system', '-o', 'jsonpath={.data.values\\.yaml}'];
  assert.match(await cluster.kubectl(config), /^MTU: 1400$/m);
  const { code, stderr } = await helm(
    'uninstall',
    'sluice',
    '--kubeconfig',
    cluster.api.server.kubeconfig,
    '-n',
    'kube-system',
  );
  assert.equal(code, 0, stderr);
  assert.equal(await cluster.kubectl(ours), before);
  assert.equal(
    await cluster.kubectl([
      'get',
      'clusterrole,clusterrolebinding',
      '-l',
      'app.kubernetes.io/part-of=sluice',
      '-o',
      'name',
    ]),
    '',
  );
});

test('wrong values are refused before anything is sent, with their paths', options, async () => {
  const wrong: readonly [string, RegExp][] = [
    ['MTU=100', /at '\/MTU'/],
    ['tunelPort=3', /additional properties 'tunelPort' not allowed/],
    ['ipam.operator.clusterPoolIPv4MaskSize=x', /at '\/ipam\/operator\/clusterPoolIPv4MaskSize'/],
    [
      'image.repository=quay.example/cilium/cilium',
      /image\.repository: quay\.example\/cilium\/cilium is an image of the incumbent/,
    ],
  ];
  for (const [value, complaint] of wrong) {
    const { code, stderr } = await helm('template', 'sluice', 'charts/sluice', '--set', value);
    assert.notEqual(code, 0, value);
    assert.match(stderr, complaint);
  }
});

test('the processes read what they know of the values, and nothing of what only shapes objects', options, async () => {
  const { data } = await object('ConfigMap', 'sluice-config', ...homelab);
  const { values } = parseValues(data['values.yaml']);
  assert.deepEqual([values.cluster.name, values.operator.replicas, values.k8sServicePort], ['homelab', 1, 6443]);
  const plain = await object('ConfigMap', 'sluice-config', '--set', 'global.some=thing');
  assert.equal(plain.data['values.yaml'].trim(), '{}', `without ${Object.keys(chartOptions)}`);
  const lacking = await object(
    'ConfigMap',
    'sluice-config',
    '--set',
    'image.digest=x,cni.chainingMode=aws,encryption.enabled=true',
  );
  const { warnings } = parseValues(lacking.data['values.yaml']);
  assert.deepEqual(
    warnings.map((warning) => warning.split(':')[0]),
    ['cni', 'encryption', 'image'],
  );
});

test(
  'the agent has the capabilities of its role, is not privileged and writes only what is mounted',
  options,
  async () => {
    const { spec } = (await object('DaemonSet', 'sluice')).spec.template;
    const [agent] = spec.containers;
    assert.deepEqual(agent.securityContext.capabilities.drop, ['ALL']);
    assert.deepEqual(agent.securityContext.capabilities.add, Object.keys(roles.agent.capabilities));
    assert.equal(spec.securityContext.seccompProfile.type, 'RuntimeDefault');
    assert.equal(spec.hostPID ?? spec.hostIPC ?? false, false);
    for (const container of [...spec.initContainers, ...spec.containers]) {
      assert.equal(container.securityContext.privileged ?? false, false);
      assert.equal(container.securityContext.allowPrivilegeEscalation, false);
      assert.equal(container.securityContext.readOnlyRootFilesystem, true);
    }
    const operator = (await object('Deployment', 'sluice-operator')).spec.template.spec;
    assert.equal(operator.securityContext.runAsNonRoot, true);
    assert.deepEqual(operator.containers[0].securityContext.capabilities, { drop: ['ALL'] });
    assert.deepEqual(
      operator.volumes.map(({ name }: { name: string }) => name),
      ['values'],
    );
  },
);

test('the agent understands its arguments, and its paths are mounted', options, async () => {
  const { spec } = (await object('DaemonSet', 'sluice')).spec.template;
  const { command, volumeMounts } = spec.containers[0];
  const args = command.slice(1).map((text: string) => text.replace('$(POD_NAMESPACE)', 'kube-system'));
  const { daemonSet, healthPort, cniExclusive, ...parsed } = parseOptions(args, { K8S_NODE_NAME: 'n1' });
  assert.deepEqual(daemonSet, { namespace: 'kube-system', name: 'sluice' });
  assert.deepEqual([healthPort, cniExclusive], [9879, true]);
  const mounted = (path: string | undefined) =>
    volumeMounts.some(
      ({ mountPath }: { mountPath: string }) => path === mountPath || path?.startsWith(`${mountPath}/`),
    );
  const { bpffs, cgroupRoot, cniConfig, cniPlugin, config, runDir, stateDir, proc, sys } = parsed;
  const paths = [
    bpffs,
    cgroupRoot,
    cniConfig,
    cniPlugin,
    config,
    runDir,
    stateDir,
    `${proc}/sys/net`,
    `${sys}/kernel/rcu_expedited`,
  ];
  for (const path of paths) assert.ok(mounted(path), String(path));
  const shared = (await object('DaemonSet', 'sluice', '--set', 'cni.exclusive=false')).spec.template.spec;
  assert.ok(!shared.containers[0].command.includes('--cni-exclusive'));
});

test('changed options start agents and operator anew, unchanged ones do not', options, async () => {
  const optionsOf = async (kind: string, name: string, ...args: readonly string[]) =>
    (await object(kind, name, ...args)).spec.template.metadata.annotations['sluice.io/options'];
  for (const [kind, name] of [
    ['DaemonSet', 'sluice'],
    ['Deployment', 'sluice-operator'],
  ] as const) {
    const first = await optionsOf(kind, name, ...homelab);
    assert.equal(await optionsOf(kind, name, ...homelab, '--set', 'image.tag=next'), first);
    assert.notEqual(await optionsOf(kind, name, ...homelab, '--set', 'MTU=1400'), first);
  }
});
