import type { FetchOptions, Pieces, ReadObject } from './pieces.ts';

/**
 * Fetches what one reader will ask for next, while it goes from one place to the one behind it: at first one piece, then twice as many with each piece it gets through.
 * A jump ends that. In halves of what may be ahead, so that pieces share requests.
 */
export class ReadAhead {
  readonly #pieces: Pieces;
  readonly #object: ReadObject;
  /** One past the last byte that is worth fetching. */
  readonly #end: number;
  readonly #most: number;
  readonly #options: FetchOptions;
  /** How many pieces may be ahead; 0: it has jumped. */
  #window = 0;
  /** Where the reader is. */
  #piece = -1;
  /** The last piece that was asked for. */
  #ahead = -1;
  #giveUp = new AbortController();

  constructor(pieces: Pieces, object: ReadObject, end: number, most: number, options: FetchOptions) {
    this.#pieces = pieces;
    this.#object = object;
    this.#end = end;
    this.#most = most;
    this.#options = options;
  }

  /** The reader asks for bytes up to `to`; `sequential`: they follow those it asked for before. */
  moved(to: number, sequential: boolean): void {
    const piece = this.#pieceOf(to);
    if (!sequential || piece < this.#piece) {
      this.#stop();
      this.#piece = piece;
      this.#ahead = piece;
      return;
    }
    if (this.#window === 0) {
      if (this.#most === 0) return;
      this.#window = 1;
    } else if (piece > this.#piece) this.#window = Math.min(this.#most, this.#window * 2);
    this.#piece = piece;
    this.#ahead = Math.max(this.#ahead, piece);
    this.#fetch();
  }

  close(): void {
    this.#stop();
  }

  #fetch(): void {
    const { pieceBytes } = this.#pieces;
    const last = this.#pieceOf(this.#end);
    // who has all that there is leaves its share to others
    if (this.#ahead >= last) {
      this.#pieces.rests(this);
      return;
    }
    this.#pieces.goesAhead(this);
    const window = Math.min(this.#window, this.#pieces.aheadShare);
    const until = Math.min(this.#piece + window, last);
    const wanted = until - this.#ahead;
    if (wanted <= 0 || (wanted < window / 2 && until < last)) return;
    const at = (this.#ahead + 1) * pieceBytes;
    this.#ahead = until;
    // whoever reads there asks again, and is told what is wrong
    this.#pieces
      .range(this.#object, at, Math.min((until + 1) * pieceBytes, this.#end) - at, {
        ...this.#options,
        signal: this.#giveUp.signal,
      })
      .catch(() => {});
  }

  #stop(): void {
    if (this.#window === 0) return;
    this.#window = 0;
    this.#pieces.rests(this);
    this.#giveUp.abort();
    this.#giveUp = new AbortController();
  }

  #pieceOf(to: number): number {
    return Math.floor((to - 1) / this.#pieces.pieceBytes);
  }
}
