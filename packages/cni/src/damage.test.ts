// Runtimes and other plugins of the list write what we read: whatever it is, the answer is a request or a CniError.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { damagedBytes, damagedJson, damagedText, holds } from '@sluice/testing';
import fc from 'fast-check';
import { CniError } from './error.ts';
import { encodeMessage, type Field, MessageReader } from './message.ts';
import { parseRequest } from './request.ts';

const previousResult = {
  cniVersion: '1.1.0',
  interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:01', sandbox: '/run/netns/a' }],
  ips: [{ address: '10.244.0.7/24', gateway: '10.244.0.1', interface: 0 }],
  routes: [{ dst: '0.0.0.0/0' }],
};
const configuration = {
  cniVersion: '1.1.0',
  name: 'sluice',
  type: 'sluice-cni',
  runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp', hostIP: '10.0.0.7' }] },
  prevResult: previousResult,
  'cni.dev/valid-attachments': [{ containerID: 'abc', ifname: 'eth0' }],
};
const environment = {
  CNI_CONTAINERID: 'abc',
  CNI_IFNAME: 'eth0',
  CNI_NETNS: '/run/netns/a',
  CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web;K8S_POD_UID=1',
};

const command = fc.constantFrom('ADD', 'DEL', 'CHECK', 'STATUS', 'GC', 'VERSION', '');

function read(bytes: Uint8Array): void {
  const reader = new MessageReader();
  reader.push(Buffer.from(bytes));
  const message = reader.next();
  if (message) parseRequest(message);
}

function isReadOrRefused(bytes: Uint8Array): void {
  try {
    read(bytes);
  } catch (error) {
    if (!(error instanceof CniError)) throw error;
    assert.ok(error.message.length > 0);
  }
}

function encode(fields: readonly Field[]): Uint8Array {
  return Buffer.from(encodeMessage(fields));
}

test('as it is, the configuration is read', () => {
  for (const name of ['ADD', 'DEL', 'CHECK', 'GC'])
    read(
      encode([['CNI_COMMAND', name], ...Object.entries(environment), ['configuration', JSON.stringify(configuration)]]),
    );
});

test('a configuration with other parts in it is read or refused', () => {
  holds(
    fc.property(command, damagedJson(configuration), (name, damaged) =>
      isReadOrRefused(
        encode([
          ['CNI_COMMAND', name],
          ...Object.entries(environment),
          ['configuration', JSON.stringify(damaged) ?? ''],
        ]),
      ),
    ),
    1000,
  );
});

test('an environment with other words in it is read or refused', () => {
  const [names, values] = [Object.keys(environment), Object.values(environment)];
  const words = fc.tuple(...values.map(damagedText));
  holds(
    fc.property(command, words, (name, damaged) => {
      const fields = names.map((key, index): Field => [key, damaged[index] ?? '']);
      isReadOrRefused(encode([['CNI_COMMAND', name], ...fields, ['configuration', JSON.stringify(configuration)]]));
    }),
    1000,
  );
});

test('a message with any bytes changed or cut off is read, refused or unfinished', () => {
  const whole = encode([
    ['CNI_COMMAND', 'ADD'],
    ['configuration', JSON.stringify(configuration)],
    ...Object.entries(environment),
  ]);
  holds(fc.property(damagedBytes(whole), isReadOrRefused), 2000);
});
