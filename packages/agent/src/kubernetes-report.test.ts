import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { FakeApi, sendStatus } from '@sluice/kube/testing';
import { silentLogger, systemClock } from '@sluice/runtime';
import { kubernetes } from './kubernetes.ts';
import { kubernetesReport } from './kubernetes-report.ts';

/** A server that has all kinds but one. */
async function watching(t: TestContext, lacking: string) {
  const api = await FakeApi.start();
  api.fault = ({ path }, response) => {
    if (!path.includes(lacking)) return false;
    sendStatus(response, 404, 'NotFound', 'the server could not find the requested resource');
    return true;
  };
  const configuration = { servers: [api.url] };
  const subject = kubernetes({
    configuration,
    nodeName: 'k8s-cp1',
    log: silentLogger,
    clock: systemClock,
    onCall: () => undefined,
  });
  t.after(async () => {
    await subject.stop();
    await api.stop();
  });
  subject.start();
  const all = subject.reflectors.map(({ reflector }) => reflector);
  // The test runner's own limit ends what never comes.
  while (!all.every((each) => each.status().lists > 0 || each.status().absent || each.status().failures > 0)) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { subject, report: kubernetesReport(subject, 'v1.32.0') };
}

test('a server without ServiceCIDR turns that watch off, and nothing else', async (t) => {
  const { subject, report } = await watching(t, 'servicecidrs');
  assert.equal(report.state, 'ok');
  assert.equal(report.lastError, undefined);
  const off = report.watches.filter((watch) => watch.off !== undefined).map((watch) => [watch.kind, watch.off]);
  assert.deepEqual(off, [['ServiceCIDR', 'this server does not have the kind']]);
  assert.ok(subject.serviceCidrs.initialized, 'what waits for all lists goes on');
});

test('a server without a kind that we need is degraded', async (t) => {
  const { report } = await watching(t, 'endpointslices');
  assert.equal(report.state, 'degraded');
  assert.match(report.lastError ?? '', /could not find/);
});
