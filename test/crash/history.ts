import { decodePayload } from './payload.ts';

/**
 * What clients sent, what was acknowledged to them and what they read, held against each other. Pure: it is told, it opens nothing.
 *
 * A send without an answer may be in the log or not. What `once` writers (idempotent) wrote is there at most once, and in the order of
 * its sequences; what `atLeastOnce` writers wrote may repeat, and its first occurrences are in order.
 */
export type Guarantee = 'once' | 'atLeastOnce';

export type Anomaly =
  /** Acknowledged, and not there. */
  | 'lost'
  /** There twice, though written idempotently. */
  | 'duplicated'
  /** A later one of the same writer lies before it. */
  | 'reordered'
  /** There, and never sent, or not to this shard. */
  | 'phantom'
  /** Not the bytes that were sent, or not what was read at this offset before. */
  | 'changed'
  /** Acknowledged at one offset, read at another. */
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
  readonly seen: (Place | undefined)[];
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

const MAX_VIOLATIONS = 50;

export class History {
  readonly violations: Violation[] = [];
  readonly counts = { sent: 0, acknowledged: 0, read: 0 };
  readonly #writers = new Map<string, Writer>();
  readonly #shards = new Map<string, (Held | undefined)[]>();
  #unseen: Held[] = [];

  writer(name: string, guarantee: Guarantee): void {
    if (this.#writers.has(name)) throw new Error(`two writers called ${name}`);
    this.#writers.set(name, { name, guarantee, shards: [], states: [], seen: [] });
  }

  /** Sequences of a writer are 0, 1, 2, ...; called before the bytes leave. */
  sent(name: string, sequence: number, shard?: string): void {
    const writer = this.#writer(name);
    if (sequence !== writer.shards.length) throw new Error(`${name} sent ${sequence}, not ${writer.shards.length}`);
    writer.shards.push(shard);
    this.counts.sent++;
  }

  acknowledged(name: string, sequence: number, offset?: number): void {
    const writer = this.#writer(name);
    if (sequence >= writer.shards.length) throw new Error(`${name} was told of ${sequence}, which it never sent`);
    if (writer.states[sequence] !== undefined) return;
    writer.states[sequence] = { offset };
    this.counts.acknowledged++;
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
    const records = this.#records(shard);
    const before = records[offset];
    if (before === undefined) records[offset] = { writer, sequence };
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
    } else if ((first.shard !== place.shard || first.offset !== place.offset) && writer.guarantee === 'once') {
      this.#report(
        'duplicated',
        `${writer.name} ${sequence}: ${first.shard} at ${first.offset} and ${place.shard} at ${place.offset}`,
      );
    } else if (first.shard === place.shard && place.offset < first.offset) {
      writer.seen[sequence] = place;
    }
  }

  #checkNumber(writer: Writer, sequence: number, { shard, offset }: Place): void {
    const told = writer.states[sequence]?.offset;
    if (told !== undefined && told !== offset)
      this.#report('renumbered', `${writer.name} ${sequence}: acknowledged at ${told}, read at ${offset} of ${shard}`);
  }

  /** Take this before a reader asks for the ends of the shards; once it has read up to them, {@link expectSeen} holds. */
  outstanding(): Outstanding {
    return [...this.#unseen];
  }

  /** All of these must have been read by now. */
  expectSeen(outstanding: Outstanding): void {
    for (const { writer, sequence } of outstanding) {
      if (writer.seen[sequence] !== undefined) continue;
      const offset = writer.states[sequence]?.offset;
      this.#report('lost', `${writer.name} ${sequence}, acknowledged${offset === undefined ? '' : ` at ${offset}`}`);
    }
    const reported = new Set(outstanding);
    this.#unseen = this.#unseen.filter((one) => !reported.has(one) && one.writer.seen[one.sequence] === undefined);
  }

  /** Order and density of everything read so far. Call it once, at the end: it reports each time anew. */
  checkLogs(): void {
    for (const [shard, records] of this.#shards) this.#checkLog(shard, records);
  }

  #checkLog(shard: string, records: readonly (Held | undefined)[]): void {
    const highest = new Map<Writer, number>();
    for (let offset = 0; offset < records.length; offset++) {
      const held = records[offset];
      if (held === undefined) {
        this.#report('gap', `${shard} at ${offset}: nothing, and ${records.length - 1} is there`);
        continue;
      }
      const { writer, sequence } = held;
      const before = highest.get(writer) ?? -1;
      const repeat = writer.seen[sequence]?.offset !== offset;
      if (sequence > before) highest.set(writer, sequence);
      else if (!repeat) this.#report('reordered', `${shard} at ${offset}: ${writer.name} ${sequence} behind ${before}`);
    }
  }

  #records(shard: string): (Held | undefined)[] {
    const records = this.#shards.get(shard) ?? [];
    this.#shards.set(shard, records);
    return records;
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
