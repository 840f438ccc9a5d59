/**
 * What processes that were killed had called and been answered, held against what was found afterwards. Pure: it is told, it opens nothing.
 * An append without an answer may be there or not, whole; one that was acknowledged must be, where it was called.
 */
export type Anomaly =
  /** Acknowledged, and not there; or a whole segment. */
  | 'lost'
  /** There twice. */
  | 'duplicated'
  /** A later one lies before it. */
  | 'reordered'
  /** There, and never appended to this segment, or certainly not applied. */
  | 'phantom'
  /** Other bytes than were appended at this offset. */
  | 'changed'
  /** At another offset than it was appended at. */
  | 'renumbered'
  /** A part of one append. */
  | 'torn'
  /** The end of a segment that was settled before is another one now. */
  | 'moved';

export interface Violation {
  readonly anomaly: Anomaly;
  readonly detail: string;
}

/** A batch, by what tells it from all others. */
export interface Print {
  readonly crc: number;
  readonly records: number;
}

/** What a process says before and after each call. */
export type Told = Opening | Doing | Calling | Answer | Ending;

interface Opening {
  readonly tell: 'opening' | 'open';
}
interface Doing {
  readonly tell: 'create' | 'created' | 'recover' | 'gone';
  readonly id: string;
}
interface Calling {
  readonly tell: 'call';
  readonly id: string;
  readonly base: number;
  readonly prints: readonly Print[];
}
type Answer = { readonly id: string; readonly base: number } & (
  | { readonly tell: 'acknowledged'; readonly next: number }
  | { readonly tell: 'failed'; readonly outcome: 'none' | 'unknown'; readonly code: string }
);
interface Ending {
  readonly tell: 'ended';
  readonly id: string;
  readonly end: number;
}

interface Call {
  readonly order: number;
  readonly base: number;
  readonly next: number;
  readonly prints: readonly Print[];
  fate: 'unknown' | 'acknowledged' | 'none';
}

interface Segment {
  readonly calls: Call[];
  created: boolean;
  end: number | undefined;
}

const MOST_VIOLATIONS = 20;

export class History {
  readonly violations: Violation[] = [];
  readonly counts = { calls: 0, acknowledged: 0, read: 0 };
  readonly #segments = new Map<string, Segment>();

  /** Segments that nobody has given an end yet: to be recovered. */
  get open(): string[] {
    return [...this.#segments].flatMap(([id, { end }]) => (end === undefined ? [id] : []));
  }

  get ids(): string[] {
    return [...this.#segments.keys()];
  }

  tell(told: Told): void {
    if (!('id' in told)) return;
    const segment = this.#segment(told.id);
    if (told.tell === 'created') segment.created = true;
    else if (told.tell === 'gone') this.#gone(told.id, segment);
    else if (told.tell === 'ended') this.#ended(told.id, segment, told.end);
    else if (told.tell === 'call') this.#called(told, segment);
    else if (told.tell === 'acknowledged' || told.tell === 'failed') this.#answered(told, segment);
  }

  /** All that a reader finds in a segment, and where it says that the segment ends. */
  read(id: string, found: readonly (Print & { readonly base: number })[], end: number): void {
    const segment = this.#segment(id);
    this.counts.read += found.length;
    this.#ended(id, segment, end);
    const places = this.#places(id, segment);
    const seen = new Map<Call, Set<number>>();
    let last = { order: -1, part: -1 };
    for (const { crc, records, base } of found) {
      const place = places.get(crc);
      const where = `${id} at ${base}`;
      if (place === undefined) {
        const called = segment.calls.some((call) => call.base <= base && base < call.next && call.fate !== 'none');
        this.#violate(
          called ? 'changed' : 'phantom',
          `${where}: ${called ? 'not the bytes that were appended there' : 'nobody appended it'}`,
        );
        continue;
      }
      const { call, part, at } = place;
      const parts = seen.get(call) ?? new Set();
      seen.set(call, parts);
      if (parts.has(part))
        this.#violate('duplicated', `${where}: it is there more than once, it was appended at ${at}`);
      else if (call.fate === 'none') this.#violate('phantom', `${where}: its append had failed with outcome none`);
      else if (call.order < last.order || (call.order === last.order && part < last.part))
        this.#violate('reordered', `${where}: it was appended before the one in front of it`);
      else if (base !== at) this.#violate('renumbered', `${where}: it was appended at ${at}`);
      else if (records !== call.prints[part]?.records) this.#violate('changed', `${where}: ${records} records`);
      parts.add(part);
      last = { order: call.order, part };
    }
    for (const call of segment.calls) this.#judge(id, call, seen.get(call)?.size ?? 0);
  }

  #judge(id: string, call: Call, found: number): void {
    const { base, next, fate, prints } = call;
    if (found === prints.length) return;
    if (fate === 'acknowledged')
      this.#violate(
        'lost',
        `${id} at ${base} to ${next}: acknowledged, and ${found} of ${prints.length} batches are there`,
      );
    else if (found > 0)
      this.#violate('torn', `${id} at ${base} to ${next}: ${found} of the ${prints.length} batches of one append`);
  }

  #called({ base, prints }: Calling, segment: Segment): void {
    const records = prints.reduce((sum, print) => sum + print.records, 0);
    segment.calls.push({ order: segment.calls.length, base, next: base + records, prints, fate: 'unknown' });
    this.counts.calls++;
  }

  #answered(told: Answer, segment: Segment): void {
    const call = segment.calls.findLast(({ base, fate }) => base === told.base && fate === 'unknown');
    if (call === undefined) throw new Error(`an answer for ${told.id} at ${told.base}, and no call`);
    if (told.tell === 'failed') {
      if (told.outcome === 'none') call.fate = 'none';
      return;
    }
    call.fate = 'acknowledged';
    this.counts.acknowledged++;
    if (told.next !== call.next)
      this.#violate('renumbered', `${told.id} at ${told.base}: acknowledged up to ${told.next}, not ${call.next}`);
    if (segment.end !== undefined && call.next > segment.end)
      this.#violate(
        'lost',
        `${told.id} at ${told.base}: acknowledged past the end ${segment.end}, after that was settled`,
      );
  }

  #ended(id: string, segment: Segment, end: number): void {
    if (segment.end !== undefined && segment.end !== end)
      this.#violate('moved', `${id} ended at ${segment.end}, it ends at ${end} now`);
    segment.end = end;
    for (const { fate, base, next } of segment.calls)
      if (fate === 'acknowledged' && next > end)
        this.#violate('lost', `${id} at ${base} to ${next}: acknowledged, it ends at ${end}`);
  }

  /** The engine knows of no such segment. */
  #gone(id: string, segment: Segment): void {
    if (segment.created) this.#violate('lost', `${id}: it had been created, and is unknown`);
    else this.#segments.delete(id);
  }

  #places(
    id: string,
    segment: Segment,
  ): Map<number, { readonly call: Call; readonly part: number; readonly at: number }> {
    const places = new Map<number, { call: Call; part: number; at: number }>();
    for (const call of segment.calls) {
      let at = call.base;
      for (const [part, { crc, records }] of call.prints.entries()) {
        if (places.has(crc)) throw new Error(`two batches of ${id} with one checksum: the load must not do that`);
        places.set(crc, { call, part, at });
        at += records;
      }
    }
    return places;
  }

  #segment(id: string): Segment {
    let segment = this.#segments.get(id);
    if (segment === undefined) {
      segment = { calls: [], created: false, end: undefined };
      this.#segments.set(id, segment);
    }
    return segment;
  }

  #violate(anomaly: Anomaly, detail: string): void {
    if (this.violations.length < MOST_VIOLATIONS) this.violations.push({ anomaly, detail });
  }
}
