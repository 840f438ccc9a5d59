/**
 * Which objects segments still need, as far as this process may delete them: its own, and those of lives that are over. An object
 * that nobody needs is garbage; nothing needs it ever again, since references are only added when an object is new.
 */
export class ObjectTable {
  readonly #users = new Map<string, Set<string>>();
  /** Files that may be appended to: needed, whoever needs what is in them. */
  readonly #growing = new Set<string>();
  /** How often something was appended to a file that no row leads to yet, or ever will. */
  readonly #pins = new Map<string, number>();
  readonly #garbage = new Set<string>();
  /** Put requests that failed may still arrive: until then, in monotonic ms. */
  readonly #doubtful = new Map<string, number>();
  /** The same of objects that are there, and may come again when they are deleted too soon. */
  readonly #strayed = new Map<string, number>();

  get garbage(): number {
    return this.#garbage.size + this.#doubtful.size;
  }

  /** Rows lead to it from the segments with these uids, and from no other. */
  stored(object: string, uids: Iterable<string>): void {
    if (this.#garbage.has(object) || this.#doubtful.has(object)) return;
    const users = new Set([...(this.#isHeld(object) ? (this.#users.get(object) ?? []) : []), ...uids]);
    if (users.size > 0) {
      this.#users.set(object, users);
    } else {
      this.#users.delete(object);
      this.#drop(object);
    }
  }

  /** A file is there, and will be appended to: it is kept until `closed`, and its users are added up. */
  opened(object: string): void {
    this.#growing.add(object);
  }

  /** Nothing is appended any more. */
  closed(object: string): void {
    if (this.#growing.delete(object)) this.#settled(object);
  }

  /** Something was appended to a file, and rows may soon lead to it. @returns to be called once they do, or never will */
  pin(object: string): () => void {
    this.#pins.set(object, (this.#pins.get(object) ?? 0) + 1);
    return () => {
      const left = (this.#pins.get(object) ?? 0) - 1;
      if (left > 0) {
        this.#pins.set(object, left);
        return;
      }
      this.#pins.delete(object);
      this.#settled(object);
    };
  }

  /** From now on users only go, also by what other nodes do: rows say who is left. */
  #settled(object: string): void {
    if (!this.#users.has(object)) this.#drop(object);
  }

  /** Users of it come while rows are read: who reads them learns nothing that is not known here. */
  isOwnFile(object: string): boolean {
    return this.#isHeld(object);
  }

  /** A put of it that nobody waits for may arrive until then. */
  strayed(object: string, until: number): void {
    this.#strayed.set(object, until);
  }

  /** No row of the segment leads to it any more. */
  released(object: string, uid: string): void {
    const users = this.#users.get(object);
    // somebody else's, or of a former life that was not looked through yet
    if (users === undefined) return;
    users.delete(uid);
    if (users.size > 0) return;
    this.#users.delete(object);
    this.#drop(object);
  }

  /** This process appends to the file, or has appended what rows may soon lead to: what is known of it here is all there is to know. */
  #isHeld(object: string): boolean {
    return this.#growing.has(object) || this.#pins.has(object);
  }

  #drop(object: string): void {
    if (this.#isHeld(object)) return;
    const until = this.#strayed.get(object);
    if (until === undefined) this.#garbage.add(object);
    else this.#doubtful.set(object, until);
    this.#strayed.delete(object);
  }

  /** No row leads to it or ever will, but it may still be put, until `until` (monotonic ms). */
  doubtful(object: string, until: number): void {
    this.#doubtful.set(object, until);
  }

  isKnown(object: string): boolean {
    return this.#isHeld(object) || this.#users.has(object) || this.#garbage.has(object) || this.#doubtful.has(object);
  }

  /** What may be deleted now; each is given once. */
  *takeGarbage(now: number): Generator<string> {
    for (const [object, until] of this.#doubtful) {
      if (until > now) continue;
      this.#doubtful.delete(object);
      this.#garbage.add(object);
    }
    for (const object of [...this.#garbage]) {
      this.#garbage.delete(object);
      yield object;
    }
  }

  /** It could not be deleted yet. */
  giveBack(object: string): void {
    this.#garbage.add(object);
  }
}
