/** Something with output to hand to its socket. */
export interface Flushable {
  flush(): void;
}

/** Collects who has something to write, and lets each write once at the end of this turn of the event loop. */
export class TurnWriter {
  #dirty: Flushable[] = [];

  add(one: Flushable): void {
    if (this.#dirty.length === 0) setImmediate(() => this.#run());
    this.#dirty.push(one);
  }

  #run(): void {
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const one of dirty) one.flush();
  }
}
