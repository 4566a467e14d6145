// A whole agent against an API server in its namespace: what it asks for is what the chart permits.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { inNetworkNamespace } from '@sluice/ffi';
import { FakeApi, testCertificates } from '@sluice/kube/testing';
import { installationRoot } from '@sluice/runtime';
import { chartRights, temporaryNetworkNamespace } from '@sluice/testing';
import { type AgentNode, agentNode, ownNode } from '../test/agent-process.ts';

const needed = ['dist/bin/sluice-cni', 'bpf/build/pod.o'].filter((path) => !existsSync(join(installationRoot(), path)));
const options = { skip: needed.length > 0 && `not built: ${needed.join(', ')}; npm run build makes it` };

/** Where the agent's kubeconfig says that it is. */
async function apiServerIn(node: AgentNode): Promise<FakeApi> {
  const { serverKey: key, serverCert: cert } = testCertificates;
  // Listening begins in the namespace, before the first answer is awaited.
  const { starting } = inNetworkNamespace(node.netns, () => ({
    starting: FakeApi.start({ everywhere: true, port: 6443, tls: { key, cert } }),
  }));
  return starting;
}

function populate({ store }: FakeApi): void {
  const addresses = ownNode.addresses.map((address) => ({ type: 'InternalIP', address }));
  const { name, podCidrs: podCIDRs } = ownNode;
  store.put('nodes', { metadata: { name, uid: 'n1' }, spec: { podCIDRs }, status: { addresses } });
  store.put('namespaces', { metadata: { name: 'shop' } });
  // Host ports are told of by an Event.
  const containers = [{ ports: [{ containerPort: 80, hostPort: 30_080 }] }];
  for (const pod of ['web', 'second'])
    store.put('pods', {
      metadata: { namespace: 'shop', name: pod, uid: pod, labels: { app: 'web' } },
      spec: { nodeName: name, containers },
      status: { phase: 'Running' },
    });
  store.put('daemonsets', { metadata: { namespace: 'kube-system', name: 'sluice' } });
}

test('whatever an agent asks the API server for, the chart permits', options, async () => {
  await using node = agentNode();
  await using api = await apiServerIn(node);
  populate(api);
  using pods = new DisposableStack();
  const add = (name: string) => {
    const { path } = pods.use(temporaryNetworkNamespace());
    assert.equal(node.cni('ADD', name, path, { K8S_POD_NAMESPACE: 'shop', K8S_POD_NAME: name }).status, 0);
  };
  await node.start();
  add('web');
  const rights = chartRights('agent');
  // A second Event on one thing is tested where it is done.
  const seldom = ['get events', 'patch events', 'list leases'];
  const rest = () => rights.unused(api.requests).filter((right) => !seldom.includes(right));
  await until(() => api.store.list('ciliumendpointslices').length > 0);
  add('second');
  await until(() => JSON.stringify(api.store.list('ciliumendpointslices')).includes('second'));
  for (const name of ['web', 'second']) node.cni('DEL', name, '');
  await until(() => rest().every((right) => right === 'get daemonsets'));
  await node.kill('SIGTERM');
  assert.deepEqual(rights.missing(api.requests), []);
  assert.deepEqual(rest(), []);
});

async function until(isDone: () => boolean): Promise<void> {
  for (let tries = 0; tries < 100 && !isDone(); tries++) await new Promise((resolve) => setTimeout(resolve, 100));
}
