import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServiceExplainReport, ServicePlaceReport } from '@sluice/agent';
import { agent, sluice } from '../test-agent.ts';

const backends = ['10.244.0.2:8080/TCP', '10.244.1.4:8080/TCP', '10.244.1.5:8080/TCP'].map((backend, index) => ({
  backend,
  pod: `shop/web-${index}`,
  node: `k8s-cp${index + 1}`,
  zone: index === 0 ? 'a' : undefined,
  state: index === 2 ? 'terminating' : 'active',
}));

const served: ServicePlaceReport = {
  frontend: '10.96.4.7:80/TCP',
  type: 'ClusterIP',
  portName: 'http',
  client: 'pod shop/client',
  verdict: 'served',
  summary: '3 backends',
  steps: [{ step: 'policy', text: 'internalTrafficPolicy Cluster: endpoints of all nodes' }],
  backends,
};

const report: ServiceExplainReport = {
  service: 'shop/web',
  node: 'k8s-cp1',
  zone: 'a',
  from: undefined,
  about: [{ step: 'type', text: 'ClusterIP' }],
  why: undefined,
  places: [
    served,
    { ...served, client: 'anybody outside', verdict: 'refused', summary: 'no backend: a reset', backends: [] },
  ],
  unserved: [{ key: '10.96.4.7:81/SCTP', type: 'ClusterIP', portName: 'sctp', reason: 'SCTP is not served' }],
  endpoints: [
    {
      ...{ endpoint: '10.244.1.9:8080/TCP', portName: 'http', pod: 'shop/web-9', node: 'k8s-cp2', zone: 'b' },
      ...{ state: 'ready', hints: ['b'] },
      unused: ['x', 'y'].map((frontend) => ({ frontend, why: 'on another node' })),
    },
  ],
  isServed: true,
};

test('each place and kind of client has a line, and each endpoint that is not used its reason', async () => {
  using asked = await agent({ '/explain/service?service=shop%2Fweb': report });
  const { out, exitCode } = await sluice(['service', 'explain', 'shop/web', '--socket', asked.socket]);
  assert.equal(
    out,
    `service shop/web on k8s-cp1 (zone a)

type:  ClusterIP

FRONTEND           TYPE        CLIENT            VERDICT   BACKENDS OR REASON
10.96.4.7:80/TCP   ClusterIP   pod shop/client   served    10.244.0.2:8080/TCP (shop/web-0, on k8s-cp1, zone a), 10.244.1.4:8080/TCP (shop/web-1, on k8s-cp2) +1 more
10.96.4.7:80/TCP   ClusterIP   anybody outside   refused   no backend: a reset

NOT SERVED          TYPE        REASON
10.96.4.7:81/SCTP   ClusterIP   SCTP is not served

ENDPOINT              POD          NODE      ZONE   STATE   HINTS   NOT USED
10.244.1.9:8080/TCP   shop/web-9   k8s-cp2   b      ready   b       on another node (x +1 more)
`,
  );
  assert.equal(exitCode, 0);
});

test('for one client it is told step by step, with all backends', async () => {
  const path = '/explain/service?service=web&port=http&from=outside%3A198.51.100.7';
  using asked = await agent({ [path]: { ...report, from: 'pod shop/client', places: [served], endpoints: [] } });
  const args = ['web', '--port', 'http', '--from', 'outside:198.51.100.7'];
  const { out } = await sluice(['service', 'explain', ...args, '--socket', asked.socket]);
  assert.match(out, /^service shop\/web for pod shop\/client on k8s-cp1 \(zone a\)$/m);
  assert.match(
    out,
    /^10\.96\.4\.7:80\/TCP \(ClusterIP, port http\)\n {2}policy: {2}internalTrafficPolicy Cluster: endpoints of all nodes\n {2}served: {2}3 backends\n/m,
  );
  assert.match(out, /^ {11}10\.244\.1\.5:8080\/TCP \(shop\/web-2, on k8s-cp3, terminating\)$/m);
});

test('where nobody is served the exit status is 1, and the reason stands there', async () => {
  const [, refused] = report.places;
  assert.ok(refused);
  const nobody = { ...report, places: [refused], isServed: false };
  using asked = await agent(() => nobody);
  const { err, exitCode } = await sluice(['service', 'explain', 'shop/web', '--socket', asked.socket]);
  assert.equal(exitCode, 1);
  assert.match(err, /nobody is served: no backend: a reset/);
  const unasked = { ...refused, verdict: 'not asked', summary: 'he has no IPv4 address' };
  const others = { ...refused, verdict: 'not served', summary: 'for clients inside' };
  using third = await agent(() => ({ ...nobody, places: [unasked, others, refused] }));
  const worst = await sluice(['service', 'explain', 'shop/web', '--socket', third.socket]);
  assert.match(worst.err, /nobody is served: no backend: a reset/);
  using sctp = await agent(() => ({ ...nobody, places: [], endpoints: [] }));
  const unserved = await sluice(['service', 'explain', 'shop/web', '--socket', sctp.socket]);
  assert.doesNotMatch(unserved.out, /^endpoints: none/m);
  assert.match(unserved.err, /nobody is served: SCTP is not served/);
  using headless = await agent(() => ({ ...nobody, places: [], endpoints: [], why: 'it is headless' }));
  const told = await sluice(['service', 'explain', 'shop/web', '--socket', headless.socket]);
  assert.match(told.out, /^not served: it is headless$/m);
  assert.doesNotMatch(told.out, /endpoints/i);
  assert.match(told.err, /nobody is served: it is headless/);
});
