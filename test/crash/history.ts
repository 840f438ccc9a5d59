import { decodePayload, type Payload } from './payload.ts';

/**
 * What clients sent, what was acknowledged to them and what they read, held against each other. Pure: it is told, it opens nothing.
 *
 * A send without an answer may be in the log or not. What `once` writers (idempotent) wrote is there at most once, and in the order of
 * its sequences. What the others wrote may repeat, and its first occurrences are in order: `oncePerSend` as often as it was
 * sent at most, `atLeastOnce` in any number, where nobody knows how often a library sends.
 */
export type Guarantee = 'once' | 'oncePerSend' | 'atLeastOnce';

export type Anomaly =
  /** Acknowledged or read before, and not there. */
  | 'lost'
  /** There twice, though written idempotently, or more often than it was sent. */
  | 'duplicated'
  /** A later one of the same writer lies before it. */
  | 'reordered'
  /** There, and never sent, or not to this shard. */
  | 'phantom'
  /** Not the bytes that were sent, or not what was read at this offset before. */
  | 'changed'
  /** Acknowledged at one offset, read at another; or two acknowledged at the same one. */
  | 'renumbered'
  /** An offset that holds nothing, with records behind it. */
  | 'gap';

export interface Violation {
  readonly anomaly: Anomaly;
  readonly detail: string;
}

/** What was sent by one writer, by sequence. */
interface Writer {
  readonly name: string;
  readonly guarantee: Guarantee;
  /** Where it was sent to; undefined when the server chooses. */
  readonly shards: (string | undefined)[];
  readonly states: (Ack | undefined)[];
  /** The first place in its shard. */
  readonly seen: (Place | undefined)[];
  /** How often, by sequence, where it was more than once. */
  readonly sends: Map<number, number>;
  /** All its places, by sequence, where there is more than one. */
  readonly repeats: Map<number, Set<number>>;
}

interface Ack {
  /** Undefined when the protocol doesn't tell. */
  readonly offset: number | undefined;
}

interface Place {
  readonly shard: string;
  readonly offset: number;
}

interface Held {
  readonly writer: Writer;
  readonly sequence: number;
}

/** Acknowledged sends that no read has shown yet, as of one moment. */
export type Outstanding = readonly Held[];

/** Offsets from `base` on and below `end`. */
export interface Stretch {
  readonly base: number;
  readonly end: number;
}

interface ShardHistory {
  readonly records: Map<number, Held>;
  /** Who was told of an offset. */
  readonly told: Map<number, Held>;
  readonly gone: Stretch[];
  /** What was read of it since {@link History.readingAgain}. */
  again: Set<number> | undefined;
}

const MAX_VIOLATIONS = 50;

export class History {
  readonly violations: Violation[] = [];
  readonly counts = { sent: 0, acknowledged: 0, read: 0, goneWithProcess: 0 };
  readonly #writers = new Map<string, Writer>();
  readonly #shards = new Map<string, ShardHistory>();
  readonly #gone = new Set<string>();
  #unseen: Held[] = [];

  writer(name: string, guarantee: Guarantee): void {
    if (this.#writers.has(name)) throw new Error(`two writers called ${name}`);
    const sends = new Map<number, number>();
    this.#writers.set(name, { name, guarantee, shards: [], states: [], seen: [], sends, repeats: new Map() });
  }

  /** Sequences of a writer are 0, 1, 2, ...; called before the bytes leave. */
  sent(name: string, sequence: number, shard?: string): void {
    const writer = this.#writer(name);
    if (sequence !== writer.shards.length) throw new Error(`${name} sent ${sequence}, not ${writer.shards.length}`);
    writer.shards.push(shard);
    this.counts.sent++;
  }

  /** Once more, as before; called before the bytes leave. */
  sentAgain(name: string, sequence: number): void {
    const { sends } = this.#writer(name);
    sends.set(sequence, (sends.get(sequence) ?? 1) + 1);
  }

  acknowledged(name: string, sequence: number, offset?: number): void {
    const writer = this.#writer(name);
    if (sequence >= writer.shards.length) throw new Error(`${name} was told of ${sequence}, which it never sent`);
    if (writer.states[sequence] !== undefined) return;
    writer.states[sequence] = { offset };
    this.counts.acknowledged++;
    if (offset !== undefined) this.#checkToldOnce(writer, sequence, offset);
    const place = writer.seen[sequence];
    if (place === undefined) this.#unseen.push({ writer, sequence });
    else this.#checkNumber(writer, sequence, place);
  }

  /** One record as a reader got it. */
  read(shard: string, offset: number, value: Uint8Array | null): void {
    this.counts.read++;
    const payload = value === null ? undefined : decodePayload(value);
    if (payload === undefined) {
      this.#report('changed', `${shard} at ${offset}: ${value?.length ?? 'no'} bytes that are not what was written`);
      return;
    }
    const { sequence } = payload;
    const writer = this.#writers.get(payload.writer);
    if (writer === undefined || sequence >= writer.shards.length || (writer.shards[sequence] ?? shard) !== shard) {
      this.#report('phantom', `${shard} at ${offset}: ${payload.writer} never sent ${sequence} there`);
      return;
    }
    const { records, again } = this.#shard(shard);
    again?.add(offset);
    const before = records.get(offset);
    if (before === undefined) records.set(offset, { writer, sequence });
    else if (before.writer !== writer || before.sequence !== sequence)
      this.#report(
        'changed',
        `${shard} at ${offset}: was ${before.writer.name} ${before.sequence}, is ${writer.name} ${sequence}`,
      );
    this.#place(writer, sequence, { shard, offset });
  }

  #place(writer: Writer, sequence: number, place: Place): void {
    const first = writer.seen[sequence];
    if (first === undefined) {
      writer.seen[sequence] = place;
      this.#checkNumber(writer, sequence, place);
      return;
    }
    if (first.shard === place.shard && first.offset === place.offset) return;
    this.#checkRepeat(writer, sequence, { first, place });
    if (writer.guarantee !== 'once' && first.shard === place.shard && place.offset < first.offset)
      writer.seen[sequence] = place;
  }

  #checkRepeat(writer: Writer, sequence: number, { first, place }: { first: Place; place: Place }): void {
    if (writer.guarantee === 'atLeastOnce') return;
    const places = writer.repeats.get(sequence) ?? new Set([first.offset]);
    if (first.shard === place.shard && places.has(place.offset)) return;
    places.add(place.offset);
    writer.repeats.set(sequence, places);
    const sends = writer.sends.get(sequence) ?? 1;
    if (writer.guarantee === 'oncePerSend' && places.size <= sends) return;
    const sent = writer.guarantee === 'once' ? '' : `sent ${sends === 1 ? 'once' : `${sends} times`}, `;
    this.#report(
      'duplicated',
      `${writer.name} ${sequence}: ${sent}${first.shard} at ${first.offset} and ${place.shard} at ${place.offset}`,
    );
  }

  #checkToldOnce(writer: Writer, sequence: number, offset: number): void {
    const shard = writer.shards[sequence];
    if (shard === undefined) return;
    const { told } = this.#shard(shard);
    const other = told.get(offset);
    if (other === undefined) told.set(offset, { writer, sequence });
    else
      this.#report(
        'renumbered',
        `${shard}: both ${other.writer.name} ${other.sequence} and ${writer.name} ${sequence} acknowledged at ${offset}`,
      );
  }

  #checkNumber(writer: Writer, sequence: number, { shard, offset }: Place): void {
    const told = writer.states[sequence]?.offset;
    if (told !== undefined && told !== offset)
      this.#report('renumbered', `${writer.name} ${sequence}: acknowledged at ${told}, read at ${offset} of ${shard}`);
  }

  /**
   * What lay in this stretch had been promised no longer life than its process, and that has ended. Whatever of it is not there any more is no
   * fault: what had been acknowledged is counted. Its offsets stay taken. What had been read and not acknowledged will come again, elsewhere.
   */
  wentWithProcess(shard: string, stretch: Stretch): void {
    const { records, gone } = this.#shard(shard);
    if (stretch.end <= stretch.base) return;
    gone.push(stretch);
    for (const [offset, { writer, sequence }] of records) {
      if (offset < stretch.base || offset >= stretch.end || writer.states[sequence] !== undefined) continue;
      writer.repeats.get(sequence)?.delete(offset);
      if (writer.seen[sequence]?.offset === offset) writer.seen[sequence] = undefined;
    }
  }

  /** The end of a stretch that {@link wentWithProcess} and that holds this offset; undefined when there is none. */
  goneUntil(shard: string, offset: number): number | undefined {
    return this.#shards.get(shard)?.gone.find(({ base, end }) => base <= offset && offset < end)?.end;
  }

  hasGone(shard: string): boolean {
    return (this.#shards.get(shard)?.gone.length ?? 0) > 0;
  }

  /** What was ever read of a shard, by offset, also what went with its process since. */
  log(shard: string): Map<number, Payload> {
    const records = this.#shards.get(shard)?.records ?? new Map<number, Held>();
    return new Map(
      [...records].map(([offset, { writer, sequence }]) => [offset, { writer: writer.name, sequence }] as const),
    );
  }

  /** Take this before a reader asks for the ends of the shards; once it has read up to them, {@link expectSeen} holds. */
  outstanding(): Outstanding {
    return [...this.#unseen];
  }

  /** All of these must have been read by now. */
  expectSeen(outstanding: Outstanding): void {
    for (const held of outstanding) {
      const { writer, sequence } = held;
      if (writer.seen[sequence] !== undefined) continue;
      const offset = writer.states[sequence]?.offset;
      if (this.#mayBeGone(held)) this.#countGone(held);
      else
        this.#report('lost', `${writer.name} ${sequence}, acknowledged${offset === undefined ? '' : ` at ${offset}`}`);
    }
    const reported = new Set(outstanding);
    this.#unseen = this.#unseen.filter((one) => !reported.has(one) && one.writer.seen[one.sequence] === undefined);
  }

  /** From here on the whole shard is read once more. */
  readingAgain(shard: string): void {
    this.#shard(shard).again = new Set();
  }

  /** All that was ever read of the shard has been read again. */
  expectAllAgain(shard: string): void {
    const history = this.#shard(shard);
    const { records, again } = history;
    history.again = undefined;
    if (again === undefined) throw new Error(`${shard} has not been read again`);
    for (const [offset, held] of records) {
      if (again.has(offset)) continue;
      if (this.goneUntil(shard, offset) === undefined)
        this.#report('lost', `${held.writer.name} ${held.sequence}, once read at ${offset} of ${shard}`);
      else if (isPlaceOf(held, offset)) this.#countGone(held);
    }
  }

  /** Order and density of everything read so far. Call it once, at the end: it reports each time anew. */
  checkLogs(): void {
    for (const [shard, { records }] of this.#shards) this.#checkLog(shard, records);
  }

  #checkLog(shard: string, records: ReadonlyMap<number, Held>): void {
    const highest = new Map<Writer, number>();
    let next = 0;
    for (const offset of [...records.keys()].sort((a, b) => a - b)) {
      this.#checkDense(shard, { base: next, end: offset });
      next = offset + 1;
      const held = records.get(offset) as Held; // of its keys
      const { writer, sequence } = held;
      const isFirst = isPlaceOf(held, offset);
      // it went with its process, and came again
      if (!isFirst && this.goneUntil(shard, offset) !== undefined) continue;
      const before = highest.get(writer) ?? -1;
      if (sequence > before) highest.set(writer, sequence);
      else if (isFirst) this.#report('reordered', `${shard} at ${offset}: ${writer.name} ${sequence} behind ${before}`);
    }
  }

  #checkDense(shard: string, { base, end }: Stretch): void {
    let at = base;
    while (at < end) {
      const until = this.goneUntil(shard, at);
      if (until === undefined) this.#report('gap', `${shard} at ${at}: nothing, and ${end} is there`);
      at = until ?? end;
    }
  }

  /** It may have lain in a stretch that went with its process: where nobody was told of its offset, by where its neighbours lie. */
  #mayBeGone({ writer, sequence }: Held): boolean {
    const shard = writer.shards[sequence];
    if (shard === undefined) return false;
    const placeOf = (other: number) => writer.states[other]?.offset ?? writer.seen[other]?.offset;
    const told = placeOf(sequence);
    if (told !== undefined) return this.goneUntil(shard, told) !== undefined;
    let before: number | undefined;
    for (let other = sequence - 1; other >= 0 && before === undefined; other--) before = placeOf(other);
    let behind: number | undefined;
    for (let other = sequence + 1; other < writer.shards.length && behind === undefined; other++)
      behind = placeOf(other);
    const { gone } = this.#shard(shard);
    return gone.some(({ base, end }) => Math.max(base, (before ?? -1) + 1) < Math.min(end, behind ?? end));
  }

  #countGone({ writer, sequence }: Held): void {
    this.#gone.add(`${writer.name} ${sequence}`);
    this.counts.goneWithProcess = this.#gone.size;
  }

  #shard(shard: string): ShardHistory {
    const known = this.#shards.get(shard);
    if (known !== undefined) return known;
    const made: ShardHistory = { records: new Map(), told: new Map(), gone: [], again: undefined };
    this.#shards.set(shard, made);
    return made;
  }

  #writer(name: string): Writer {
    const writer = this.#writers.get(name);
    if (writer === undefined) throw new Error(`no writer called ${name}`);
    return writer;
  }

  #report(anomaly: Anomaly, detail: string): void {
    if (this.violations.length < MAX_VIOLATIONS) this.violations.push({ anomaly, detail });
  }
}

function isPlaceOf({ writer, sequence }: Held, offset: number): boolean {
  return writer.seen[sequence]?.offset === offset;
}
