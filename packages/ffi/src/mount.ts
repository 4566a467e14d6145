import { Errno } from './errors.ts';
import { checked, libcFunction } from './libc.ts';

const nativeMount = libcFunction(
  'int mount(const char *source, const char *target, const char *type, ulong flags, const char *data)',
);
const nativeUmount = libcFunction('int umount2(const char *target, int flags)');

const MS_BIND = 4096;
const MNT_DETACH = 2;

/** Mounts a filesystem such as `bpf` at an existing directory. */
export function mount(type: string, target: string, data: string | null = null): void {
  checked(nativeMount(type, target, type, 0, data), 'mount', `${type} at ${target}`);
}

export function bindMount(source: string, target: string): void {
  checked(nativeMount(source, target, null, MS_BIND, null), 'mount', `${source} at ${target}`);
}

/** Detaches a mount at once, also while it is in use. */
export function unmount(target: string, options: { missingIsSuccess?: boolean } = {}): void {
  const result = nativeUmount(target, MNT_DETACH);
  const missing = result === -Errno.EINVAL || result === -Errno.ENOENT;
  if (missing && options.missingIsSuccess === true) return;
  checked(result, 'umount', target);
}
