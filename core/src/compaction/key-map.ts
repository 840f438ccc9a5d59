import { hash } from 'node:crypto';

/** Words of a fingerprint: 16 bytes. */
const WORDS = 4;
const FIRST_SLOTS = 1024;

/**
 * The newest offset of each key in a run of the log: what a compaction pass knows. A key is kept as 16 bytes of its SHA-256: nobody
 * can make two keys that are taken for one, which would drop another's record. Costs 24 bytes a slot, at most three quarters of the slots in use.
 *
 * Bounded: once `maxKeys` are in, the first new key ends the map, and `to` says up to which offset it knows everything.
 */
export class KeyMap {
  readonly from: number;
  readonly maxKeys: number;
  /** Offsets in [from, to) are in the map, each record of them. */
  to: number;
  #size = 0;
  #mask = FIRST_SLOTS - 1;
  #fingerprints = new Uint32Array(FIRST_SLOTS * WORDS);
  /** -1: the slot is free. */
  #offsets = new Float64Array(FIRST_SLOTS).fill(-1);
  readonly #probe = new Uint32Array(WORDS);

  constructor(from: number, maxKeys: number) {
    this.from = from;
    this.to = from;
    this.maxKeys = maxKeys;
  }

  get size(): number {
    return this.#size;
  }

  /** Puts in a record; offsets come in ascending order. @returns false when the map is full and the key is a new one. */
  put(key: Uint8Array, offset: number): boolean {
    this.#fingerprint(key);
    const slot = this.#find();
    if (this.#at(slot) < 0) {
      if (this.#size >= this.maxKeys) return false;
      this.#fingerprints.set(this.#probe, slot * WORDS);
      this.#size++;
    }
    this.#offsets[slot] = offset;
    if (this.#size * 4 > this.#offsets.length * 3) this.#grow();
    return true;
  }

  /** The newest offset this key has in the map. */
  latest(key: Uint8Array): number | undefined {
    this.#fingerprint(key);
    const offset = this.#at(this.#find());
    return offset < 0 ? undefined : offset;
  }

  #fingerprint(key: Uint8Array): void {
    // a string comes back three times faster than a buffer, one byte a character
    const digest = hash('sha256', key, 'binary');
    for (let word = 0; word < WORDS; word++) {
      const at = word * 4;
      this.#probe[word] =
        digest.charCodeAt(at) |
        (digest.charCodeAt(at + 1) << 8) |
        (digest.charCodeAt(at + 2) << 16) |
        (digest.charCodeAt(at + 3) << 24);
    }
  }

  /** The slot that holds the fingerprint in `#probe`, or the free one where it belongs. There is always a free one. */
  #find(): number {
    const [a, b, c, d] = this.#probe;
    const fingerprints = this.#fingerprints;
    for (let slot = (a ?? 0) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const at = slot * WORDS;
      if (this.#at(slot) < 0) return slot;
      if (fingerprints[at] !== a || fingerprints[at + 1] !== b) continue;
      if (fingerprints[at + 2] === c && fingerprints[at + 3] === d) return slot;
    }
  }

  #at(slot: number): number {
    return this.#offsets[slot] as number; // `slot` is masked
  }

  #grow(): void {
    const offsets = this.#offsets;
    const fingerprints = this.#fingerprints;
    this.#offsets = new Float64Array(offsets.length * 2).fill(-1);
    this.#fingerprints = new Uint32Array(fingerprints.length * 2);
    this.#mask = this.#offsets.length - 1;
    offsets.forEach((offset, slot) => {
      if (offset < 0) return;
      this.#probe.set(fingerprints.subarray(slot * WORDS, (slot + 1) * WORDS));
      const free = this.#find();
      this.#offsets[free] = offset;
      this.#fingerprints.set(this.#probe, free * WORDS);
    });
  }
}
