import type { KubeLimits } from './limits.ts';

export type PageLimits = Pick<
  KubeLimits,
  'listPageItems' | 'listFirstPageItems' | 'listPageBytes' | 'listPageBytesWanted' | 'objectBytes'
>;

/**
 * How many objects to ask for: as many as make a page that is worth a request and no burden to us. A process needs ten times
 * a page's bytes for a moment, and does not give all of it back.
 */
export class PageSize {
  readonly #limits: PageLimits;
  #items: number;

  constructor(limits: PageLimits) {
    this.#limits = limits;
    this.#items = Math.min(limits.listFirstPageItems, limits.listPageItems);
  }

  get items(): number {
    return this.#items;
  }

  /** A single object may be larger than a page should be. */
  get bytesMax(): number {
    const { listPageBytes, objectBytes } = this.#limits;
    return this.#items > 1 ? listPageBytes : Math.max(listPageBytes, objectBytes);
  }

  /** False: there is nothing smaller to ask for. */
  shrink(): boolean {
    if (this.#items === 1) return false;
    this.#items = Math.ceil(this.#items / 4);
    return true;
  }

  /** After a page of so many objects and bytes: the next ones may be of another size, so it grows slowly. */
  adapt(items: number, bytes: number): void {
    if (items === 0) return;
    const { listPageItems, listPageBytesWanted } = this.#limits;
    const fitting = Math.floor((listPageBytesWanted * items) / Math.max(1, bytes));
    this.#items = Math.max(1, Math.min(fitting, listPageItems, this.#items * 2));
  }
}
