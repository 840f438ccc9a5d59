import type { ReadAhead } from '../read/read-ahead.ts';

/** An offset, and the batch that holds it. */
export interface Place {
  readonly offset: number;
  readonly position: number;
}

/** Of one who goes on reading where the read before ended. */
export interface Trail {
  readonly ahead: ReadAhead;
  /** Of the read before: what was read and did not fit behind other batches is read once more, which is no jump. */
  began: Place;
  ended: Place;
}

const NOWHERE: Place = { offset: -1, position: -1 };
/** Those who read one segment at once, at different places; of more, the ones that stood still for longest begin anew. */
const MOST = 8;

/** Several may read a segment by the same reader: what is read ahead for one must not end with each read of another. */
export class Trails {
  readonly #begin: () => ReadAhead;
  /** The one that moved last comes last. */
  readonly #trails: Trail[] = [];

  constructor(begin: () => ReadAhead) {
    this.#begin = begin;
  }

  /** The trail that goes on at `offset`, and where that lies; or a new one, for which nothing lies anywhere. */
  at(offset: number): { readonly trail: Trail; readonly position: number | undefined } {
    const index = this.#trails.findLastIndex(({ began, ended }) => ended.offset === offset || began.offset === offset);
    const [known] = index < 0 ? [] : this.#trails.splice(index, 1);
    const trail = known ?? { ahead: this.#begin(), began: NOWHERE, ended: NOWHERE };
    this.#trails.push(trail);
    if (this.#trails.length > MOST) this.#trails.shift()?.ahead.close();
    const place = [trail.ended, trail.began].find((one) => one.offset === offset);
    return { trail, position: place?.position };
  }

  close(): void {
    for (const { ahead } of this.#trails.splice(0)) ahead.close();
  }
}
