import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Ajv } from 'ajv';
import fc from 'fast-check';
import { parse, stringify } from 'yaml';
import { ConfigError } from '../error.ts';
import { lackedOptions } from '../lacked.ts';
import { type Option, optionPaths, options } from '../options.ts';
import { parseValues } from '../values.ts';
import { chartOptions } from './chart-options.ts';
import { valuesSchema } from './schema.ts';
import { valuesFile } from './values-file.ts';

const validate = new Ajv({ allErrors: true, allowUnionTypes: true }).compile(JSON.parse(valuesSchema()));

/** Paths that the schema refuses. */
function refused(values: unknown): string[] {
  if (validate(values)) return [];
  return [...new Set(validate.errors?.map(({ instancePath }) => instancePath))];
}

function nested(path: string, value: unknown): unknown {
  return path.split('.').reduceRight((inner, name) => ({ [name]: inner }), value);
}

function isRead(values: unknown): boolean {
  try {
    parseValues(stringify(values));
    return true;
  } catch (error) {
    if (error instanceof ConfigError) return false;
    throw error;
  }
}

/** Often what some option takes, or nearly so. */
const values = fc.oneof(
  fc.boolean(),
  fc.constant(null),
  fc.oneof(fc.integer({ min: -2, max: 70_000 }), fc.constantFrom(0, 1280, 65535, 65536, 4.5)),
  fc.constantFrom(
    '',
    'true',
    'false',
    'tunnel',
    'native',
    'vxlan',
    'geneve',
    'auto',
    'cluster-pool',
    'crd',
    'none',
    'valueOf',
  ),
  fc.constantFrom(
    '6443',
    '0',
    '00080',
    '65536',
    '15m0s',
    '90s',
    '1h',
    'm',
    'k8s:app !job',
    'eno1',
    'eno1,eth+ enp2s0',
    'a/b',
  ),
  fc.constantFrom('10.0.0.0/8', '10.0.0.0/8 10.1.0.0/16', 'fd00::/48', '10.0.0.1/8', 'fd00::1', '::', 'node-1.lan'),
  fc.constantFrom('0.0.0.0:10256', '[::]:10256', '[fd00::1]:1', '10.0.0.1:0', '10.0.0.300:1', '::1:5', '[1.2.3.4]:5'),
  fc.constantFrom('https://10.0.0.1:6443', 'http://[fd00::1]:80/, https://a', 'ftp://a', 'HTTPS://A'),
  fc.constantFrom([], ['eno1'], ['10.0.0.0/8'], ['fd00::/48', 'fd01::/48'], ['https://a:1'], [7], ['']),
  fc.string(),
  fc.constant({}),
);

test('what the processes take, the schema takes', () => {
  fc.assert(
    fc.property(fc.constantFrom(...optionPaths), values, (path, value) => {
      const given = nested(path, value);
      if (isRead(given)) assert.deepEqual(refused(given), [], JSON.stringify(given));
    }),
    { numRuns: 4000 },
  );
});

test("the homelab's values, every default and every option of the incumbent that we lack are taken", () => {
  const path = fileURLToPath(new URL('../../../../examples/homelab/values.yaml', import.meta.url));
  assert.deepEqual(refused(parse(readFileSync(path, 'utf8'))), []);
  assert.deepEqual(refused(parse(valuesFile())), []);
  for (const name of Object.keys(lackedOptions)) {
    if (Object.hasOwn(chartOptions, name)) continue;
    const given = nested(name, { some: ['thing'] });
    assert.deepEqual(refused(given), [], name);
    assert.ok(isRead(given), name);
  }
});

test('what is wrong is refused with its path', () => {
  const wrong: readonly [unknown, string][] = [
    [{ tunelPort: 1 }, ''],
    [{ cluster: { nam: 'x' } }, '/cluster'],
    [{ cluster: 'x' }, '/cluster'],
    [{ MTU: 100 }, '/MTU'],
    [{ k8sServicePort: '70000' }, '/k8sServicePort'],
    [{ ipam: { operator: { clusterPoolIPv4MaskSize: '24' } } }, '/ipam/operator/clusterPoolIPv4MaskSize'],
    [{ ipam: { mode: 'pools' } }, '/ipam/mode'],
    [{ ipv6: { enabled: 'yes' } }, '/ipv6/enabled'],
    [{ devices: ['far/too'] }, '/devices/0'],
    [{ devices: 'a-name-that-is-too-long' }, '/devices'],
    [{ operator: { replicas: 0 } }, '/operator/replicas'],
    [{ operator: { resources: { request: {} } } }, '/operator/resources'],
    [{ image: { pullPolicy: 'Sometimes' } }, '/image/pullPolicy'],
    [{ cni: { binPath: 'opt/cni' } }, '/cni/binPath'],
    [{ tolerations: {} }, '/tolerations'],
  ];
  for (const [given, path] of wrong)
    assert.ok(refused(given).includes(path), `${JSON.stringify(given)}: ${refused(given)}`);
});

test('the values file gives the chart its options and leaves the others to the processes', () => {
  const file = parse(valuesFile()) as Record<string, unknown>;
  for (const [path, { standard }] of Object.entries(chartOptions)) {
    const value = path.split('.').reduce<unknown>((at, name) => (at as Record<string, unknown>)[name], file);
    assert.deepEqual(value, standard, path);
  }
  for (const path of optionPaths) {
    const option: Option<unknown> = options[path];
    if (!option.isRare) assert.match(valuesFile(), new RegExp(`^ *# ${path.split('.').at(-1)}:`, 'm'), path);
    assert.ok(!Object.hasOwn(chartOptions, path), `${path} is an option of both`);
  }
});

test('the values file can be read: it has at most 40 options', () => {
  const common = optionPaths.filter((path) => !(options[path] as Option<unknown>).isRare);
  const count = common.length + Object.keys(chartOptions).length;
  assert.ok(count <= 40, `${count} options: mark those that few need as rare`);
});
