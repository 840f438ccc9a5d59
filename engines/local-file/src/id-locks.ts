/** One operation at a time for each id; different ids do not wait for each other. */
export class IdLocks {
  readonly #last = new Map<string, Promise<unknown>>();
  /** Whose files are not to be seen yet. */
  readonly ingesting: Set<string> = new Set();

  hide(id: string): () => void {
    this.ingesting.add(id);
    return () => void this.ingesting.delete(id);
  }

  run<T>(id: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(id) ?? Promise.resolve();
    const mine = before.then(work, work);
    this.#last.set(id, mine);
    const done = (): void => {
      if (this.#last.get(id) === mine) this.#last.delete(id);
    };
    mine.then(done, done);
    return mine;
  }
}
