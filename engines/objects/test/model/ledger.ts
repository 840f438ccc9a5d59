/** What was written into one segment, as far as its writers were told. */
export class SegmentLedger {
  readonly id: string;
  readonly base: number;
  /** Tags by offset: acknowledged, and all that may be there. */
  readonly acknowledged = new Map<number, string>();
  readonly possible = new Map<number, Set<string>>();
  end: number | undefined;

  constructor(id: string, base: number) {
    this.id = id;
    this.base = base;
  }

  submit(offset: number, tag: string): void {
    const tags = this.possible.get(offset);
    if (tags === undefined) this.possible.set(offset, new Set([tag]));
    else tags.add(tag);
  }

  /** It was certainly not applied. */
  refused(offset: number, tag: string): void {
    this.possible.get(offset)?.delete(tag);
  }

  /** @throws Violation when another one was acknowledged there, or the segment has ended below */
  acknowledge(offset: number, tag: string): void {
    const known = this.acknowledged.get(offset);
    if (known !== undefined) throw new Violation(`${this.id}: both ${known} and ${tag} were acknowledged at ${offset}`);
    if (this.end !== undefined && offset >= this.end)
      throw new Violation(
        `${this.id}: ${tag} was acknowledged at ${offset} after the segment had ended at ${this.end}`,
      );
    this.acknowledged.set(offset, tag);
  }

  /** Recovery or a seal has settled where it ends. @throws Violation */
  ended(end: number): void {
    if (this.end !== undefined && this.end !== end)
      throw new Violation(`${this.id} ended at ${this.end}, and then at ${end}`);
    for (const [offset, tag] of this.acknowledged)
      if (offset >= end) throw new Violation(`${this.id}: ${tag} was acknowledged at ${offset}, and it ends at ${end}`);
    this.end = end;
  }

  /** @throws Violation when something acknowledged is missing, or something is there that was never written there */
  check(found: readonly { readonly offset: number; readonly tag: string }[], what: string): void {
    let next = this.base;
    for (const { offset, tag } of found) {
      if (offset !== next) throw new Violation(`${this.id} ${what}: ${offset} where ${next} should be`);
      if (this.possible.get(offset)?.has(tag) !== true)
        throw new Violation(`${this.id} ${what}: ${tag} at ${offset} was never written there, or was refused`);
      const acknowledged = this.acknowledged.get(offset);
      if (acknowledged !== undefined && acknowledged !== tag)
        throw new Violation(`${this.id} ${what}: ${tag} at ${offset} where ${acknowledged} was acknowledged`);
      next = offset + 1;
    }
    if (this.end !== undefined && next !== this.end)
      throw new Violation(`${this.id} ${what}: it can be read up to ${next}, and ends at ${this.end}`);
    for (const [offset, tag] of this.acknowledged)
      if (offset >= next) throw new Violation(`${this.id} ${what}: ${tag} was acknowledged at ${offset} and is lost`);
  }
}

/** What must never happen. */
export class Violation extends Error {}
