import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createKubeClient, resources } from '@sluice/kube';
import { sendStatus, testCertificates } from '@sluice/kube/testing';
import { type ClusterAccess, openCluster } from './cluster-access.ts';
import { execInPod } from './connectivity/exec.ts';
import type { Context } from './context.ts';
import { sluice } from './test-agent.ts';
import { folder } from './test-archive.ts';
import { serveCommands, type TestCluster, testCluster } from './test-cluster.ts';
import { answering, execGroup, testPlugin } from './test-plugin.ts';

function contextOf(written: string[] = []): Context {
  return {
    environment: { PATH: process.env.PATH },
    out: { write: () => undefined },
    err: { write: (text) => written.push(text) },
    signal: new AbortController().signal,
  };
}

const open = ({ kubeconfig }: TestCluster, context = contextOf()): ClusterAccess =>
  openCluster({ kubeconfig, context: undefined }, context);

/** Lets in who has one of these. */
function guard({ api }: TestCluster, isLetIn: (authorization: string) => boolean): void {
  api.fault = ({ headers }, response) => {
    if (isLetIn(headers.authorization ?? '')) return false;
    sendStatus(response, 401, 'Unauthorized', 'Unauthorized');
    return true;
  };
}

test('a token is asked for once, and again when it has expired', async () => {
  using place = folder();
  const soon = new Date(Date.now() + 1_500).toISOString();
  const script = `expires=${soon}; [ $run = 1 ] || expires=2999-01-01T00:00:00Z\n${answering({ token: 't$run', expirationTimestamp: '$expires' })}`;
  const plugin = testPlugin(place.path, script);
  await using cluster = await testCluster(['n1'], plugin.user);
  guard(cluster, (authorization) => authorization.startsWith('Bearer t'));
  using client = open(cluster).client;
  await Promise.all([client.list(resources.nodes), client.list(resources.pods)]);
  await client.list(resources.nodes);
  assert.equal(plugin.questions().length, 1);
  await new Promise((resolve) => setTimeout(resolve, 1_600));
  await client.list(resources.nodes);
  await client.list(resources.nodes);
  assert.equal(plugin.questions().length, 2);
  assert.deepEqual(
    cluster.api.requests.map(({ headers }) => headers.authorization),
    ['Bearer t1', 'Bearer t1', 'Bearer t1', 'Bearer t2', 'Bearer t2'],
  );
});

test('a token that is refused is asked for once more, by requests and by commands in pods', async () => {
  using place = folder();
  const plugin = testPlugin(place.path, answering({ token: 't$run' }));
  await using cluster = await testCluster(['n1'], plugin.user);
  guard(cluster, (authorization) => authorization === 'Bearer t2');
  const access = open(cluster);
  using client = access.client;
  await client.list(resources.nodes);
  assert.equal(plugin.questions().length, 2);
  const served = serveCommands(cluster.api, async (_pod, _command, out) => {
    out.write('hello');
    return 0;
  });
  const answer = cluster.api.upgrade;
  cluster.api.upgrade = (request, socket, head) => {
    if (request.headers.authorization === 'Bearer t3') answer?.(request, socket, head);
    else socket.end('HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\n{}');
  };
  const target = { namespace: 'kube-system', pod: 'sluice-agent-n1', command: ['true'] };
  const { stdout } = await execInPod(access, target, new AbortController().signal);
  assert.equal(stdout, 'hello');
  assert.deepEqual(served.authorization, ['Bearer t3']);
  assert.deepEqual(access.toldSecrets, ['t1', 't2', 't3']);
  // Not for ever.
  guard(cluster, () => false);
  await assert.rejects(client.list(resources.nodes), { status: 401 });
  assert.equal(plugin.questions().length, 4);
});

test('what the plugin is told: version, whether it may ask a person, and of the cluster where it wants to know', async () => {
  using place = folder();
  const plugin = testPlugin(
    place.path,
    `[ "$1 $SAYS" = "get hi" ] || exit 3\n${answering({ token: 't' }, 'v1beta1')}`,
    {
      apiVersion: `${execGroup}/v1beta1`,
      interactiveMode: undefined,
      args: ['get'],
      env: [{ name: 'SAYS', value: 'hi' }],
      provideClusterInfo: true,
    },
  );
  await using cluster = await testCluster(['n1'], plugin.user, {
    'certificate-authority-data': Buffer.from(testCertificates.ca).toString('base64'),
    'tls-server-name': 'kube',
    extensions: [{ name: `${execGroup}/exec`, extension: { audience: 'here' } }],
  });
  using client = open(cluster, { ...contextOf(), isInputTerminal: true }).client;
  await client.list(resources.nodes);
  assert.deepEqual(plugin.questions(), [
    {
      kind: 'ExecCredential',
      apiVersion: `${execGroup}/v1beta1`,
      spec: {
        interactive: true,
        cluster: {
          server: cluster.api.url,
          'tls-server-name': 'kube',
          'certificate-authority-data': Buffer.from(testCertificates.ca).toString('base64'),
          config: { audience: 'here' },
        },
      },
    },
  ]);
});

test('a client certificate is used for the connection', async () => {
  using place = folder();
  const { ca, clientCert, clientKey, serverCert: cert, serverKey: key } = testCertificates;
  const status = { clientCertificateData: clientCert, clientKeyData: clientKey };
  const plugin = testPlugin(
    place.path,
    `cat <<'END'\n${JSON.stringify({ kind: 'ExecCredential', apiVersion: `${execGroup}/v1`, status })}\nEND`,
  );
  await using cluster = await testCluster(
    ['n1'],
    plugin.user,
    { 'certificate-authority-data': Buffer.from(ca).toString('base64') },
    { tls: { cert, key, ca, requestCert: true } },
  );
  const access = open(cluster);
  using client = access.client;
  assert.equal((await client.list(resources.nodes)).items.length, 1);
  serveCommands(cluster.api, async (_pod, _command, out) => {
    out.write('over TLS');
    return 0;
  });
  const target = { namespace: 'kube-system', pod: 'sluice-agent-n1', command: ['true'] };
  assert.equal((await execInPod(access, target, new AbortController().signal)).stdout, 'over TLS');
  using bare = createKubeClient({ servers: [cluster.api.url], ca });
  await assert.rejects(bare.list(resources.nodes), /certificate/);
});

test('a plugin that does not do it is told in one line, with what to do', async () => {
  using place = folder();
  const tells = async (say: string, exec: object = {}) => {
    const plugin = testPlugin(place.path, say, exec);
    await using cluster = await testCluster(['n1'], plugin.user);
    const { err, exitCode } = await sluice(['status', '--kubeconfig', cluster.kubeconfig], { PATH: '/usr/bin:/bin' });
    assert.equal(exitCode, 1, err);
    assert.equal(cluster.api.requests.length, 0);
    return err;
  };
  const hint = { command: 'sluice-no-such-plugin', installHint: 'Get it\n  from example.com.' };
  assert.match(
    await tells('', hint),
    /^sluice: credential plugin sluice-no-such-plugin: it is not installed: Get it from example\.com\.\n$/,
  );
  assert.match(
    await tells('echo log in first >&2; exit 4'),
    /^log in first\nsluice: .*ended with exit status 4; what it says stands above\n$/,
  );
  assert.match(await tells('kill -9 $$'), /ended by SIGKILL\n$/);
  assert.match(await tells('true'), /it answers nothing\n$/);
  assert.match(await tells('echo sesame-sesame'), /its answer is no JSON\n$/);
  assert.match(
    await tells(answering({ token: 't' }, 'v1beta1')),
    /ExecCredential of .*v1beta1, not ExecCredential of .*\/v1\n$/,
  );
  assert.match(await tells(answering({})), /neither a token nor a certificate\n$/);
  assert.match(await tells(answering({ clientCertificateData: 'x' })), /it has one alone\n$/);
  assert.match(await tells(answering({ clientCertificateData: 'x', clientKeyData: 'y' })), /no certificate in PEM/);
  assert.match(await tells(answering({ token: 'a b' })), /the token that was given is none/);
  assert.match(
    await tells(answering({ token: 't', expirationTimestamp: 'soon' })),
    /expirationTimestamp: "soon" is not a time/,
  );
  assert.match(await tells('head -c 2000000 /dev/zero'), /says more than 1048576 bytes/);
  assert.match(await tells('', { interactiveMode: 'Always' }), /has to ask a person .* no terminal/);
});
