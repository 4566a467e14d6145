/** The file system of the machine under test: node, what it links to, this repository, and fixtures compiled here. */
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync, realpathSync } from 'node:fs';
import { basename, join } from 'node:path';
import { compileBpf } from '../../packages/testing/src/index.ts';
import { type Archive, createArchive } from './archive.ts';
import type { UnpackedKernel } from './images.ts';
import { collectModules } from './modules.ts';

/** Devices of ours, and what tests make beside them. */
const MODULES = ['veth', 'vxlan', 'geneve', 'dummy', 'bridge', 'sch_ingress', 'inet_diag', 'tcp_diag', 'udp_diag'];
export const GUEST_REPOSITORY = '/sluice';
const BUSYBOX = '/bin/busybox';
/** Before busybox, whose `ip` knows less, and whose `nsenter` takes that one; a test speaks to a service from bash. */
const PATH = '/usr/sbin:/bin:/usr/bin';

export interface RootOptions {
  /** The repository. */
  readonly root: string;
  readonly kernel: UnpackedKernel;
  /** What the machine runs when it is up, below the repository. */
  readonly script: string;
  readonly args: readonly string[];
}

/** Writes the archive to `file`. */
export function writeRoot(file: string, options: RootOptions): void {
  using archive = createArchive(file);
  const modules = collectModules(options.kernel.modules, MODULES);
  archive.addCharacterDevice('/dev/console', { major: 5, minor: 1 });
  for (const folder of ['/proc', '/sys', '/tmp', '/run', '/root', '/etc']) archive.addFolder(folder);
  archive.add(BUSYBOX, realpathSync(firstOf('/bin/busybox', '/usr/bin/busybox')));
  for (const { name, content } of modules) archive.addFile(`/modules/${name}.ko`, content);
  archive.addFile(
    '/init',
    initScript(
      modules.map(({ name }) => name),
      options,
    ),
    0o755,
  );
  for (const name of ['ip', 'nsenter', 'bash'])
    addProgram(archive, `/usr/sbin/${name}`, realpathSync(firstOf(`/usr/sbin/${name}`, `/usr/bin/${name}`)));
  addProgram(archive, '/usr/bin/node', realpathSync(join(options.root, 'node_modules/.bin/node')));
  addRepository(archive, options.root);
  addFixtures(archive, options.root);
}

function firstOf(...paths: readonly string[]): string {
  const path = paths.find((candidate) => existsSync(candidate));
  if (path === undefined) throw new Error(`none of ${paths.join(', ')} is there: sh tools/setup.sh --kernels`);
  return path;
}

/** With the libraries that it is linked to, where it looks for them. */
function addProgram(archive: Archive, path: string, source: string): void {
  archive.add(path, source);
  for (const line of execFileSync('ldd', [source], { encoding: 'utf8' }).split('\n')) {
    const library = /(?:=> )?(\/\S+) \(0x/.exec(line)?.[1];
    if (library !== undefined) archive.add(library, realpathSync(library));
  }
}

/** Sources, compiled objects, and of the installed packages those that are needed to run and to test. */
function addRepository(archive: Archive, root: string): void {
  const files = [
    'package.json',
    'packages/**',
    'tools/**',
    'bpf/build/*.o',
    ...runtimePackages(root).map((path) => `${path}/**`),
  ];
  const unwanted = /\/node_modules\/\.bin\/|\.d\.[cm]?ts$|\.map$|\/esm\/.*\.map$/;
  for (const path of globSync(files, { cwd: root })) {
    if (!unwanted.test(path)) archive.add(join(GUEST_REPOSITORY, path), join(root, path));
  }
  for (const path of globSync('node_modules/@sluice/*', { cwd: root })) {
    archive.add(join(GUEST_REPOSITORY, path), join(root, path));
  }
}

/** Development packages that tests import. */
const TEST_PACKAGES = ['node_modules/fast-check', 'node_modules/pure-rand'];

function runtimePackages(root: string): string[] {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, { readonly dev?: boolean; readonly link?: boolean }>>;
  };
  const installed = Object.entries(lock.packages).flatMap(([path, { dev, link }]) => {
    const isProgram = path.startsWith('node_modules/node-linux-');
    return path.startsWith('node_modules/') && dev !== true && link !== true && !isProgram ? [path] : [];
  });
  return [...installed, ...TEST_PACKAGES];
}

/** Tests call the compiler; on the machine a script of that name hands out what was compiled here. */
function addFixtures(archive: Archive, root: string): void {
  for (const source of globSync('packages/*/test/**/*.bpf.c', { cwd: root })) {
    archive.addFile(`/compiled/${basename(source)}.o`, compileBpf(join(root, source)));
  }
  archive.addFile('/usr/bin/clang-19', compilerScript, 0o755);
}

const compilerScript = `#!${BUSYBOX} sh
# -c SOURCE -o OBJECT, as it was compiled where the machine was made.
while [ $# -gt 0 ]; do
	case "$1" in
	-c) source=$2; shift ;;
	-o) object=$2; shift ;;
	esac
	shift
done
exec ${BUSYBOX} cp "/compiled/$(${BUSYBOX} basename "$source").o" "$object"
`;

function initScript(modules: readonly string[], { script, args }: RootOptions): string {
  return `#!${BUSYBOX} sh
${BUSYBOX} --install -s /bin
export PATH=${PATH} HOME=/root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm /sys/fs/cgroup
mount -t tmpfs shm /dev/shm
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
for name in ${modules.join(' ')}; do insmod /modules/$name.ko || echo "module $name cannot be loaded"; done
ip link set lo up
cd ${GUEST_REPOSITORY}
mkdir -p node_modules/.bin
ln -sf /usr/bin/node node_modules/.bin/node
node ${script} ${args.map((arg) => `'${arg}'`).join(' ')}
poweroff -f
`;
}
