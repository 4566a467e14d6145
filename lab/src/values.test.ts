import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseValues } from '@sluice/config';
import { installationRoot } from '@sluice/runtime';
import { deviceNames, labValues, type ValueOptions } from './values.ts';

const homelab = readFileSync(join(installationRoot(), 'examples/homelab/values.yaml'), 'utf8');

/** What the agent reads of them. */
function read(text: string, options: ValueOptions = {}) {
  const lab = labValues(text, 'values.yaml', options);
  return { lab, values: parseValues(lab.text).values };
}

test("the homelab's values, and any that suit the lab, are taken to the letter", () => {
  for (const text of [homelab, '', 'k8sServiceHost: 192.168.1.200\ndevices: [ens18]\nipv6: {enabled: false}\n']) {
    const { lab } = read(text);
    assert.deepEqual([lab.text, lab.changes], [text, []]);
  }
  const { lab } = read(
    'k8sServiceHost: 192.168.1.200\nk8sServicePort: "8443"\ndevices: [ens18]\nipv6: {enabled: false}\n',
  );
  const { families, devices, apiServerHost, apiServerPort } = lab;
  assert.deepEqual(
    { families, devices, apiServerHost, apiServerPort },
    {
      families: [4],
      devices: ['ens18'],
      apiServerHost: '192.168.1.200',
      apiServerPort: 8443,
    },
  );
});

test('a family is switched in the values, whatever stood there, and the rest stays', () => {
  for (const text of [
    '',
    'ipv6: {enabled: true}\n',
    'ipv6:\n',
    'x: &on {enabled: true}\nipv6: *on\n'.replace('x', 'ipv4'),
  ]) {
    const { lab, values } = read(text, { ipv6: false });
    assert.deepEqual([lab.families, values.ipv6.enabled, values.ipv4.enabled], [[4], false, true], text);
    assert.deepEqual(lab.changes, ['ipv6.enabled: false (--ipv6=false)']);
  }
  const { lab } = read(homelab, { ipv6: false });
  assert.match(lab.text, /# kube-vip VIP of the API server/, 'comments stay');
  assert.deepEqual(read('ipv6: {enabled: false}', { ipv6: true }).lab.families, [4, 6]);
  assert.throws(() => read('', { ipv4: false, ipv6: false }), /IPv4, IPv6, or both/);
});

test('agents without IPv4 are told where the API server is without it', () => {
  const { lab, values } = read(homelab, { ipv4: false });
  assert.deepEqual([lab.families, lab.apiServerHost], [[6], '10.10.30.10']);
  assert.equal(values.k8sServiceHost, 'fd00:10:10:30::10');
  assert.equal(read('', { ipv4: false }).values.k8sServiceHost, '', 'the kubeconfig says it');
});

test('an API server where the lab has none is replaced by that of the lab, and that is said', () => {
  const urls = 'k8s: {apiServerURLs: ["https://10.10.30.101:6443", "https://10.10.30.102:6443"]}\n';
  for (const text of [
    'k8sServiceHost: api.example.org',
    'k8sServiceHost: 10.10.30.101',
    'k8sServiceHost: fd00::1',
    urls,
  ]) {
    const { lab, values } = read(text);
    assert.equal(lab.apiServerHost, '10.10.30.10');
    assert.deepEqual([values.k8sServiceHost, values.k8s.apiServerURLs], ['10.10.30.10', []], text);
    assert.match(lab.changes.join(), /where the lab's API server stands/);
  }
});

test('devices have the names that the values give them, and a second one is named there', () => {
  assert.deepEqual(deviceNames([], false), ['eno1']);
  assert.deepEqual(deviceNames(['eth+'], true), ['eth0', 'eth1']);
  assert.deepEqual(deviceNames(['br-lan', 'wan'], false), ['br-lan', 'wan']);
  assert.deepEqual(deviceNames(['enp3s0'], true), ['enp3s0', 'enp3s1']);
  assert.deepEqual(deviceNames(['wan'], true), ['wan', 'wan2']);
  assert.deepEqual(deviceNames(['ünlesbar'], true), ['eno1', 'eno2']);
  for (const text of [homelab, '', 'devices: []\n']) {
    assert.deepEqual(read(text, { secondDevice: true }).values.devices, ['eno1', 'eno2'], text);
  }
  const already = read('devices: eno1 eno2\n', { secondDevice: true }).lab;
  assert.deepEqual([already.devices, already.changes], [['eno1', 'eno2'], []]);
  assert.deepEqual(read('devices: eth+\n', { secondDevice: true }).values.devices, ['eth+'], 'it is named already');
});

test('values that are wrong are refused with file, line and path', () => {
  assert.throws(() => read('ipam: {mode: no-such-mode}'), /^ConfigError: values\.yaml:1: ipam\.mode: /);
  assert.throws(() => read('devices: [', { secondDevice: true }), /values\.yaml:1: /);
});
