import assert from 'node:assert/strict';
import { labWorld } from '@sluice/lab';
import type { AddressFamily } from '@sluice/net';
import { testLab } from './test-lab.ts';

/** A lab that has one family works wholly, and has nothing of the other. */
export async function checkOneFamily(family: AddressFamily): Promise<void> {
  const [own, other] = family === 4 ? ([4, 6] as const) : ([6, 4] as const);
  await using lab = testLab();
  const shown = await lab.must('up', '--nodes', '2', `--ipv${other}=false`);
  assert.ok(shown.includes(`values changed: ipv${other}.enabled: false (--ipv${other}=false)`), shown);

  for (const place of ['lan', 'router', 'internet', 'client', 'k8s-cp1', 'k8s-cp2']) {
    const addresses = await lab.must(
      'exec',
      place,
      '--',
      'ip',
      `-${other}`,
      '-o',
      'address',
      'show',
      'scope',
      'global',
    );
    assert.equal(addresses, '', `addresses of IPv${other} at ${place}`);
  }
  const ips = await lab.must(
    'kubectl',
    'get',
    'nodes,services,pods',
    '-A',
    '-o',
    'jsonpath={..addresses}{..clusterIPs}{..podIPs}',
  );
  assert.match(ips, family === 4 ? /10\.96\.0\.10/ : /fd00:10:96::a/);
  assert.doesNotMatch(ips, family === 4 ? /fd00:/ : /10\.\d+\.\d+\.\d+/);

  const world = labWorld([family]);
  await lab.must('exec', 'k8s-cp2', '--', 'client', 'tcp', world.internet[own] ?? '', String(world.port));
  await lab.must('exec', 'client', '--', 'client', 'udp', world.internet[own] ?? '', String(world.port));

  const options = ['-o', 'json', '--test', '^(pod-to|host-to|dns|world)'];
  const text = await lab.must('exec', 'k8s-cp1', '--', 'sluice', 'connectivity', 'test', ...options);
  const results = JSON.parse(text) as { name: string; status: string }[];
  assert.deepEqual(
    results.filter(({ status }) => status === 'failed'),
    [],
  );
  const passed = results.filter(({ status }) => status === 'passed');
  assert.ok(passed.length > 20, `${passed.length} cases`);

  const refused = await lab.run('up', `--ipv${other}=true`);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, new RegExp(`is there without IPv${other}\\n.*take it down first`));
}
