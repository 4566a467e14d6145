import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { ConfigError } from './error.ts';
import { lackedOptions, options, parseValues, readValues } from './index.ts';

const repository = fileURLToPath(new URL('../../../', import.meta.url));

function problemsOf(text: string): readonly { path: string; line: number; message: string }[] {
  try {
    parseValues(text, 'values.yaml');
  } catch (error) {
    assert.ok(error instanceof ConfigError, `not a ConfigError: ${error}`);
    return error.problems;
  }
  return [];
}

test("the homelab's values are taken as they are", () => {
  const { values, warnings } = readValues(join(repository, 'examples/homelab/values.yaml'));
  assert.equal(values.cluster.name, 'homelab');
  assert.equal(values.operator.replicas, 1);
  assert.equal(values.routingMode, 'tunnel');
  assert.equal(values.k8sServiceHost, '10.10.30.10');
  assert.equal(values.k8sServicePort, 6443);
  assert.equal(values.kubeProxyReplacement, true);
  assert.deepEqual(values.devices, ['eno1']);
  assert.deepEqual(
    warnings.map((warning) => warning.split(':')[0]),
    ['gatewayAPI.enabled', 'l7Proxy', 'l2announcements.enabled'],
    'only what nothing acts on yet is warned of',
  );
});

test('an empty file gives every default', () => {
  for (const text of ['', '# nothing\n', '{}', 'cluster:\n']) {
    const { values, warnings } = parseValues(text);
    assert.equal(values.cluster.name, 'default');
    assert.equal(values.tunnelPort, 8472);
    assert.deepEqual(values.devices, []);
    assert.deepEqual(warnings, []);
  }
});

test('a word that every object knows is no word of an option', () => {
  assert.equal(problemsOf('tunnelProtocol: valueOf')[0]?.path, 'tunnelProtocol');
});

test('null is the default, as in Helm', () => {
  assert.equal(parseValues('tunnelPort: null\ncluster:\n  name:\n').values.cluster.name, 'default');
});

test('a port may be text or a number, and 0 is the default', () => {
  assert.equal(parseValues('k8sServicePort: "7443"').values.k8sServicePort, 7443);
  assert.equal(parseValues('k8sServicePort: 7443').values.k8sServicePort, 7443);
  assert.equal(parseValues('tunnelPort: 0').values.tunnelPort, 8472);
  for (const wrong of ['70000', '-1', '6443.5', '"port"', '[1]', 'true', '"99999"']) {
    assert.equal(problemsOf(`k8sServicePort: ${wrong}`)[0]?.path, 'k8sServicePort', wrong);
  }
});

test('lists may be text or lists', () => {
  assert.deepEqual(parseValues('devices: [eth0, "wlan+"]').values.devices, ['eth0', 'wlan+']);
  assert.deepEqual(parseValues('devices: "eth0 eth1"').values.devices, ['eth0', 'eth1']);
  assert.deepEqual(
    parseValues('k8s:\n  apiServerURLs: "https://10.0.0.1:6443 https://[fd00::1]:6443"').values.k8s.apiServerURLs,
    ['https://10.0.0.1:6443', 'https://[fd00::1]:6443'],
  );
});

test('an unknown option is refused with path, line and what was probably meant', () => {
  const problems = problemsOf('cluster:\n  name: a\n  nmae: b\ntunelPort: 1\nclutser: {}\nnonsense: 1\n');
  assert.deepEqual(problems, [
    { path: 'cluster.nmae', line: 3, message: 'there is no such option; did you mean cluster.name?' },
    { path: 'tunelPort', line: 4, message: 'there is no such option; did you mean tunnelPort?' },
    { path: 'clutser', line: 5, message: 'there is no such option; did you mean cluster?' },
    { path: 'nonsense', line: 6, message: 'there is no such option' },
  ]);
});

test('every problem is told, not only the first', () => {
  const text = 'MTU: big\nipam: 5\ndevices: ["a/b"]\noperator:\n  replicas: "2"\nipv4: []\n';
  assert.deepEqual(
    problemsOf(text).map(({ path, line }) => `${path}:${line}`),
    ['MTU:1', 'ipam:2', 'devices:3', 'operator.replicas:5', 'ipv4:6'],
  );
});

test('the message names file, line, path and value', () => {
  assert.throws(() => parseValues('a: 1\ntunnelPort: 70000\n', 'v.yaml'), {
    message: 'v.yaml:1: a: there is no such option\nv.yaml:2: tunnelPort: 70000 is not a port (1 to 65535)',
  });
});

test('text that is not YAML is refused with its line', () => {
  assert.equal(problemsOf('cluster:\n  name: [a\n')[0]?.line, 3);
  assert.match(problemsOf('MTU: 0\nMTU: 0\n')[0]?.message ?? '', /unique/);
  assert.match(problemsOf('- a\n- b\n')[0]?.message ?? '', /map/);
  assert.match(problemsOf('x'.repeat(2 ** 20 + 1))[0]?.message ?? '', /larger than/);
});

test('a file that is not there is an error of its own kind', () => {
  assert.throws(() => readValues('/nonexistent/values.yaml'), /values.yaml: cannot be read/);
  const directory = mkdtempSync(join(tmpdir(), 'sluice-config-'));
  try {
    assert.throws(() => readValues(directory), ConfigError);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('an option of the incumbent that we lack is accepted and says what happens instead', () => {
  const { warnings } = parseValues(
    'encryption:\n  enabled: true\n  type: wireguard\nhubble:\n  relay:\n    enabled: true\n',
  );
  assert.deepEqual(warnings, [
    'encryption: accepted, but packets between nodes are NOT encrypted',
    'hubble: accepted, but no flows are served yet; `sluice monitor` shows drops',
  ]);
});

test('what is switched off, or empty, needs no warning', () => {
  const text = 'encryption:\n  enabled: false\n  ipsec: {key: ""}\nextraArgs: []\nnat46x64Gateway: {enabled: false}\n';
  assert.deepEqual(parseValues(text).warnings, []);
});

test('a word that only the incumbent knows is taken as the default, with a warning', () => {
  const { values, warnings } = parseValues('routingMode: native\ntunnelProtocol: geneve\nipam: {mode: eni}\n');
  assert.equal(values.routingMode, 'tunnel');
  assert.equal(values.tunnelProtocol, 'vxlan');
  assert.equal(values.ipam.mode, 'cluster-pool');
  assert.equal(warnings.length, 3);
  assert.match(warnings[0] ?? '', /routingMode: "native" is not supported/);
  for (const dispatch of ['ipip', 'geneve']) {
    const { values, warnings } = parseValues(`loadBalancer: {mode: dsr, dsrDispatch: ${dispatch}}`);
    assert.deepEqual([values.loadBalancer.mode, values.loadBalancer.dsrDispatch], ['dsr', 'opt']);
    assert.match(
      warnings.join(),
      new RegExp(`^loadBalancer\\.dsrDispatch: "${dispatch}" is not supported.*opt is used`),
    );
  }
});

test('options that contradict each other are refused', () => {
  assert.match(problemsOf('ipv4: {enabled: false}\nipv6: {enabled: false}')[0]?.message ?? '', /one of/);
  const pool = (list: string, size: number) =>
    problemsOf(`ipam: {operator: {clusterPoolIPv4PodCIDRList: ${list}, clusterPoolIPv4MaskSize: ${size}}}`);
  assert.match(pool('["10.0.0.0/24"]', 23)[0]?.message ?? '', /smaller than the \/23/);
  assert.match(pool('["10.0.0.0/16", "10.0.3.0/20"]', 24)[0]?.message ?? '', /10\.0\.3\.0\/20/);
  assert.match(pool('["10.0.0.0/16", "10.0.16.0/20"]', 24)[0]?.message ?? '', /overlaps 10\.0\.0\.0\/16/);
  assert.match(pool('["fd00::/48"]', 24)[0]?.message ?? '', /IPv4 prefixes/);
});

test('aliases of YAML work', () => {
  const { values } = parseValues('cluster: {name: &n lab}\nk8sServiceHost: *n\n');
  assert.equal(values.k8sServiceHost, 'lab');
});

test('any text at all gives values or a ConfigError, never another error', () => {
  const names = fc.constantFrom(...Object.keys(options), ...Object.keys(lackedOptions), '__proto__', 'a.b', '<<');
  const anyTree = fc.dictionary(
    names.map((name) => name.split('.')[0] ?? name),
    fc.jsonValue({ maxDepth: 3 }),
  );
  const anyText = fc.oneof(
    fc.string(),
    anyTree.map((tree) => JSON.stringify(tree)),
  );
  fc.assert(
    fc.property(anyText, (text) => {
      try {
        parseValues(text);
      } catch (error) {
        assert.ok(error instanceof ConfigError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});

test('every lacked name is one that we do not have', () => {
  for (const name of Object.keys(lackedOptions)) assert.ok(!Object.hasOwn(options, name), name);
});

test('patterns of labels are separated by spaces and must be regular expressions', () => {
  assert.deepEqual(parseValues('labels: "k8s:app  !job-name k8s:a{1,3}"').values.labels, [
    'k8s:app',
    '!job-name',
    'k8s:a{1,3}',
  ]);
  assert.deepEqual(parseValues('labels: ""').values.labels, []);
  for (const wrong of ['"k8s:("', '"k8s:"', '[app]', '7'])
    assert.equal(problemsOf(`labels: ${wrong}`)[0]?.path, 'labels');
});

test('a duration is as Go writes it', () => {
  const read = (text: string) => parseValues(`operator: { identityGCInterval: ${text} }`).values.operator;
  assert.deepEqual(
    ['15m0s', '90s', '1h30m', '0s'].map((text) => read(text).identityGCInterval),
    [900_000, 90_000, 5_400_000, 0],
  );
  for (const wrong of ['15', '""', 'soon', '1d']) {
    assert.equal(problemsOf(`operator: { identityGCInterval: ${wrong} }`)[0]?.path, 'operator.identityGCInterval');
  }
});

test('Maglev is set up as the incumbent has it: the sizes that it allows, twelve bytes in Base64', () => {
  const { values } = parseValues(
    'loadBalancer: { algorithm: maglev }\nmaglev: { tableSize: 65521, hashSeed: AQIDBAUGBwgJCgsM }',
  );
  assert.deepEqual([values.loadBalancer.algorithm, values.maglev.tableSize], ['maglev', 65_521]);
  assert.deepEqual(values.maglev.hashSeed, { table: 0x01020304, ipv4: 0x05060708, ipv6: 0x090a0b0c });
  const { maglev } = parseValues('').values;
  assert.equal(options['maglev.hashSeed'].type.format(maglev.hashSeed), 'JLfvgnHc2kaSUFaI');
  assert.deepEqual(options['maglev.hashSeed'].type.read('JLfvgnHc2kaSUFaI'), maglev.hashSeed);
  for (const [wrong, path] of [
    ['maglev: { tableSize: 16384 }', 'maglev.tableSize'],
    ['maglev: { hashSeed: c2hvcnQ= }', 'maglev.hashSeed'],
    ['maglev: { hashSeed: JLfvgnHc2kaSUFa- }', 'maglev.hashSeed'],
    ['loadBalancer: { algorithm: rendezvous }', 'loadBalancer.algorithm'],
  ] as const)
    assert.equal(problemsOf(wrong)[0]?.path, path, wrong);
});

test('a range of NodePorts leaves ports for translated connections, or is refused', () => {
  assert.deepEqual(parseValues('nodePort:\n  range: 80,32767').values.nodePort.range, { first: 80, last: 32_767 });
  for (const [range, left] of [
    ['1,65535', 0],
    ['1025,65000', 536],
  ])
    assert.throws(() => parseValues(`nodePort:\n  range: ${range}`), {
      message: `values:2: nodePort.range: leaves ${left} ports from 1024 up for the sources of translated connections, which need 1024 at least`,
    });
});
