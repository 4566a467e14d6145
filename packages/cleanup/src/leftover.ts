/** Something on the node that would go, or that stays and is told. */
export interface Leftover {
  readonly kind: 'CNI' | 'pins' | 'device' | 'setting' | 'state' | 'rules';
  /** What, such as a path, a device or a chain. */
  readonly name: string;
  /** What there is of it; empty: the name says all. */
  readonly detail: string;
  /** Undefined: it stays, and the detail says why. */
  readonly remove: (() => void) | undefined;
}

/** What became of it. */
export interface Removal {
  readonly kind: Leftover['kind'];
  readonly name: string;
  readonly detail: string;
  readonly outcome: 'removed' | 'would be removed' | 'stays' | 'failed';
  /** Of one that failed. */
  readonly error?: string;
}

/** In their order; one that fails does not hold up the others. */
export function removeAll(leftovers: readonly Leftover[], { isDryRun }: { readonly isDryRun: boolean }): Removal[] {
  return leftovers.map(({ kind, name, detail, remove }): Removal => {
    if (remove === undefined) return { kind, name, detail, outcome: 'stays' };
    if (isDryRun) return { kind, name, detail, outcome: 'would be removed' };
    try {
      remove();
      return { kind, name, detail, outcome: 'removed' };
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      return { kind, name, detail, outcome: 'failed', error: text };
    }
  });
}
