import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createKubeClient } from '@sluice/kube';
import { FakeApi } from '@sluice/kube/testing';
import { silentLogger } from '@sluice/runtime';
import { definitions } from './definitions.ts';
import { definitionFiles } from './files.ts';
import { installDefinitions } from './install.ts';

const plural = 'customresourcedefinitions';
const name = 'ciliumidentities.cilium.io';

async function install(api: FakeApi, wanted = definitions): Promise<void> {
  using client = createKubeClient({ servers: [api.url] });
  await installDefinitions(wanted, { client, log: silentLogger }, new AbortController().signal);
}

test('the kinds of the files are installed as well', async () => {
  await using api = await FakeApi.start();
  await install(api, definitionFiles());
  const names = api.store.list(plural).map(({ metadata }) => (metadata as { name: string }).name);
  assert.deepEqual(names, ['ciliuml2announcementpolicies.cilium.io', 'ciliumloadbalancerippools.cilium.io']);
});

test('definitions are installed once and left alone while they are right', async () => {
  await using api = await FakeApi.start();
  await install(api);
  const { version } = api.store;
  await install(api);
  assert.equal(api.store.list(plural).length, definitions.length);
  assert.equal(api.store.version, version);
});

test('a definition of an earlier release of ours is brought up to date', async () => {
  await using api = await FakeApi.start();
  const [identity] = definitions;
  assert.ok(identity);
  await install(api, [{ ...identity, spec: { ...identity.spec, versions: [{ name: 'v1' }] } }]);
  await install(api);
  assert.match(JSON.stringify(api.store.get(plural, name)), /security-labels/);
});

test('what somebody else has installed stays when it has our version, and is complained of when it has not', async () => {
  await using api = await FakeApi.start();
  const spec = { versions: [{ name: 'v2', served: true, theirs: true }] };
  api.store.put(plural, { metadata: { name }, spec });
  await install(api);
  assert.deepEqual(api.store.get(plural, name)?.spec, spec);
  api.store.put(plural, { metadata: { name }, spec: { versions: [{ name: 'v2', served: false }] } });
  await assert.rejects(
    install(api),
    /ciliumidentities\.cilium\.io is installed by somebody else without the version v2/,
  );
});
