/** `sluice connectivity test` from the control plane, with the world behind it. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { eventually, on, onNetworkOfControlPlane, recipe, root, run, runFolder } from './cluster.ts';

const world = ['198.51.100.10', '[2001:db8:100::10]'];

/** Gives whether every case passed; its output is shown. */
export async function testConnectivity(): Promise<boolean> {
  await startWorld();
  const [nsenter = '', ...network] = onNetworkOfControlPlane();
  const { status } = await run(
    nsenter,
    [
      ...[...network, process.execPath, join(root, 'dist/sluice.js'), 'connectivity', 'test'],
      ...world.flatMap((address) => ['--world', address]),
      ...['--outside', `${join(recipe, 'on')} cp`, '--kubeconfig', join(runFolder, 'pki/admin.kubeconfig')],
    ],
    { isShown: true, timeoutMs: 300_000 },
  );
  return status === 0;
}

/** An echo server in the world; it ends with the cluster. */
async function startWorld(): Promise<void> {
  const inWorld = ['ip', 'netns', 'exec', 'internet'];
  const listening = () => on('cp', 'sh', '-c', "ip netns exec internet ss -ltn | grep -q ':80 '");
  if (
    await listening().then(
      () => true,
      () => false,
    )
  )
    return;
  const echo = [...inWorld, join(root, 'dist/bin/lab-pod'), 'echo', '--tcp', '80', '--udp', '80'];
  spawn(join(recipe, 'on'), ['cp', 'setsid', ...echo], { stdio: 'ignore', detached: true }).unref();
  await eventually(10, listening);
}
