import type { View } from '../read/run.ts';
import type { BlockIndex } from './block-index.ts';
import type { ImageFooter } from './format.ts';

/** Footer and index of an image, shared by its readers, and which of its blocks were checked in which runs of memory. */
export class LoadedImage {
  readonly footer: ImageFooter;
  readonly index: BlockIndex;
  /** Two for each block: the serials of the runs that hold its beginning and its end; -1: not checked. */
  readonly #checked: Float64Array;

  constructor(footer: ImageFooter, index: BlockIndex) {
    this.footer = footer;
    this.index = index;
    this.#checked = new Float64Array(index.count * 2).fill(-1);
  }

  /** About what it takes in memory. */
  get bytes(): number {
    return 512 + this.footer.indexBytes + this.index.count * 32;
  }

  isChecked(block: number, [first, last]: readonly [number, number]): boolean {
    return first >= 0 && this.#checked[block * 2] === first && this.#checked[block * 2 + 1] === last;
  }

  noteChecked(block: number, [first, last]: readonly [number, number]): void {
    this.#checked[block * 2] = first;
    this.#checked[block * 2 + 1] = last;
  }
}

/** The serials of what holds [from, to) of the views; -1 when there are more than two. */
export function serialsOf(views: readonly View[], from: number, to: number): readonly [number, number] {
  let first = -1;
  let last = -1;
  let at = 0;
  for (const { bytes, serial } of views) {
    if (at >= to) break;
    at += bytes.length;
    if (at <= from || serial === last) continue;
    if (first !== -1 && last !== first) return [-1, -1];
    if (first === -1) first = serial;
    last = serial;
  }
  return [first, last];
}
