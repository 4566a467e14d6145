import { mount, unmount } from '@sluice/ffi';
import { temporaryDirectory } from './directory.ts';

export interface TemporaryBpffs extends Disposable {
  readonly path: string;
}

/** A BPF filesystem of the test's own. Disposing unmounts it: its pins go with it. */
export function temporaryBpffs(): TemporaryBpffs {
  using stack = new DisposableStack();
  const { path } = stack.use(temporaryDirectory());
  mount('bpf', path);
  stack.defer(() => unmount(path));
  const owned = stack.move();
  return { path, [Symbol.dispose]: () => owned.dispose() };
}
