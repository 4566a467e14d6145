import { existsSync, globSync, readdirSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { installedPlugins, othersAside, putOthersBack } from '@sluice/cni';
import { close, lock, openFd } from '@sluice/ffi';
import { type Link, openNetlink } from '@sluice/netlink';
import { deviceNames, isPodDevice } from '@sluice/nodes';
import { CleanupError } from './cleanup-error.ts';
import { type Leftover, type Removal, removeAll } from './leftover.ts';

export interface SluiceOptions {
  readonly bpffs: string;
  readonly sys: string;
  readonly runDir: string;
  readonly stateDir: string;
  readonly cniConfig: string;
  readonly cniPlugin: string;
  /** The devices of pods as well: whoever runs in them loses the network. */
  readonly withPods: boolean;
  readonly isDryRun: boolean;
}

/** Takes away what an uninstalled Sluice leaves on its node, in the calling thread's network namespace. */
export function removeSluice(options: SluiceOptions): Removal[] {
  using _claim = claim(options.runDir);
  using netlink = openNetlink();
  const links = netlink.links.list();
  const remove = (link: Link) => () => void netlink.links.delete(link.ifindex);
  return removeAll(
    [
      // First of all: no pod more comes to us.
      ...cniLeftovers(options),
      ...pinLeftovers(options.bpffs),
      ...podLeftovers(links, options.withPods, remove),
      ...deviceLeftovers(links, remove),
      ...settingLeftovers(options),
      ...folderLeftovers(options),
    ],
    options,
  );
}

/** An agent holds this lock, from wherever it runs; none starts while we have it. */
function claim(runDir: string): Disposable {
  if (!existsSync(runDir)) return { [Symbol.dispose]: () => undefined };
  using stack = new DisposableStack();
  const directory = stack.adopt(openFd(runDir), close);
  if (!lock(directory)) {
    throw new CleanupError(
      `an agent runs on this node (it has ${runDir}): uninstall it first, helm uninstall sluice --namespace kube-system --cascade foreground --wait`,
    );
  }
  return stack.move();
}

function cniLeftovers({ cniConfig, cniPlugin }: SluiceOptions): Leftover[] {
  const files = [cniConfig, ...installedPlugins(cniPlugin)].filter((file) => existsSync(file));
  const aside = othersAside(cniConfig);
  return [
    ...files.map(
      (path): Leftover => ({ kind: 'CNI', name: path, detail: '', remove: () => rmSync(path, { force: true }) }),
    ),
    ...(aside.length === 0
      ? []
      : [
          {
            kind: 'CNI',
            name: aside.join(', '),
            detail: 'of another network: gets its former name back',
            remove: () => void putOthersBack(cniConfig),
          } as const,
        ]),
  ];
}

/** A link first: with its pin it ends, and no packet meets a program whose map is being taken away. */
function pinLeftovers(bpffs: string): Leftover[] {
  const root = join(bpffs, 'sluice');
  if (!existsSync(root)) return [];
  const folders = ['links', 'programs', 'maps'].map((name) => join(root, name));
  const counts = folders.map((folder) => globSync('**/*', { cwd: folder }).filter((name) => isPin(join(folder, name))));
  const [links, programs, maps] = counts.map((pins) => pins.length);
  return [
    {
      kind: 'pins',
      name: root,
      detail: [counted(links, 'link'), counted(programs, 'program'), counted(maps, 'map')].join(', '),
      remove: () => {
        for (const folder of folders) rmSync(folder, { recursive: true, force: true });
        rmSync(root, { recursive: true, force: true });
      },
    },
  ];
}

const counted = (count = 0, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;
const isPin = (path: string): boolean => !statSync(path).isDirectory();

type Remove = (link: Link) => () => void;

function podLeftovers(links: readonly Link[], withPods: boolean, remove: Remove): Leftover[] {
  const devices = links.filter(({ name, kind }) => isPodDevice(name) && kind === 'veth');
  const kept = '--pods removes it; its pod has no network until it is made anew';
  return devices.map((link) => ({
    kind: 'device',
    name: link.name,
    detail: withPods ? 'of a pod' : `of a pod: ${kept}`,
    remove: withPods ? remove(link) : undefined,
  }));
}

/** Of the kind that we make; a device of somebody else that bears the name stays. */
function deviceLeftovers(links: readonly Link[], remove: Remove): Leftover[] {
  const kinds: Readonly<Record<string, string>> = {
    [deviceNames.host]: 'veth',
    [deviceNames.net]: 'veth',
    [deviceNames.overlay]: 'vxlan',
  };
  return links
    .filter(({ name }) => name in kinds)
    .map((link) => {
      const isOurs = kinds[link.name] === link.kind;
      const detail = isOurs ? '' : `is not ours: ${link.kind ?? 'hardware'} instead of ${kinds[link.name] ?? ''}`;
      return { kind: 'device', name: link.name, detail, remove: isOurs ? remove(link) : undefined };
    });
}

/** An agent that was killed within the moment in which it had the kernel hurry (packages/datapath, grace-periods.ts). */
function settingLeftovers({ runDir, sys }: SluiceOptions): Leftover[] {
  if (!existsSync(join(runDir, 'expedited'))) return [];
  const path = join(sys, 'kernel/rcu_expedited');
  return [{ kind: 'setting', name: path, detail: '0 again', remove: () => writeFileSync(path, '0') }];
}

/** What the agent makes there; anything else stays, with its folder. */
const filesOf = {
  state: ['node.json', '.node.json.*.tmp', 'endpoints', 'verifier', '.probe.*'],
  // With what goes before them, and what a killed agent left half made.
  run: ['agent.pid', 'last-failure.json', 'cni.sock*', 'sluice.sock*', 'expedited'],
} as const;

function folderLeftovers({ runDir, stateDir }: SluiceOptions): Leftover[] {
  const folders = [
    { folder: stateDir, ours: filesOf.state },
    { folder: runDir, ours: filesOf.run },
  ];
  return folders
    .filter(({ folder }) => existsSync(folder))
    .map(({ folder, ours }) => {
      const names = globSync([...ours], { cwd: folder });
      const others = readdirSync(folder).filter((name) => !names.includes(name));
      const detail = others.length === 0 ? '' : `but for ${others.join(', ')}, which is not ours`;
      return { kind: 'state', name: folder, detail, remove: () => removeFolder(folder, names) };
    });
}

function removeFolder(folder: string, names: readonly string[]): void {
  for (const name of names) rmSync(join(folder, name), { recursive: true, force: true });
  try {
    rmdirSync(folder);
  } catch (error) {
    // Not ours alone, or in a container the place of a mount.
    if (!isCode(error, 'ENOTEMPTY', 'EBUSY')) throw error;
  }
}

function isCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.some((code) => code === error.code);
}
