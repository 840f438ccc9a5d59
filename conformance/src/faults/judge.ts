import type { Stored } from '../batches.ts';
import type { Act } from './acts.ts';
import { type Content, Refusal, type Seen, type SeenSegment } from './seen.ts';

/** Which acts were asked for, and which had been answered, when the power went. */
export interface Known {
  readonly begun: ReadonlySet<Act>;
  readonly done: ReadonlySet<Act>;
}

/** @returns what is wrong, or nothing */
export function judge(acts: readonly Act[], known: Known, seen: Seen): string | undefined {
  if (seen.refused !== undefined) return `the engine would not open: ${seen.refused.message}`;
  for (const [id, segment] of seen.segments) {
    const ofIt = acts.filter((act) => act.id === id);
    const expected = new Expected(ofIt, known);
    const wrong = expected.judge(segment, seen.listed.includes(id));
    if (wrong !== undefined) return `segment ${id} ${wrong}`;
  }
  const stranger = seen.listed.find((id) => !seen.segments.has(id));
  return stranger === undefined ? undefined : `segment ${stranger} is listed, and nobody ever made it`;
}

/** What an engine may say of damage: aloud, and never that there was nothing. */
const ALOUD = ['CORRUPT', 'SEGMENT_LOST', 'FORMAT_TOO_NEW', 'INSTANCE_CHANGED'];

/** The same of a disk of which something proven was damaged: whatever is shown is right, whatever is not is refused in so many words. */
export function judgeDamage(acts: readonly Act[], known: Known, seen: Seen): string | undefined {
  if (seen.refused !== undefined)
    return seen.refused.is(...ALOUD) ? undefined : `the engine would not open: ${seen.refused.message}`;
  for (const [id, segment] of seen.segments) {
    const ofIt = acts.filter((act) => act.id === id);
    const wrong = new Expected(ofIt, known).judgeDamaged(segment);
    if (wrong !== undefined) return `segment ${id} ${wrong}`;
  }
  return undefined;
}

/** One segment, as far as is known. */
class Expected {
  readonly #acts: readonly Act[];
  readonly #known: Known;

  constructor(acts: readonly Act[], known: Known) {
    this.#acts = acts;
    this.#known = known;
  }

  judge(seen: SeenSegment, listed: boolean): string | undefined {
    const made = this.#acts.find((act) => act.does === 'create' || act.does === 'ingest');
    const mayBe = made !== undefined && this.#known.begun.has(made) && !this.#did('delete');
    const mustBe = made !== undefined && this.#known.done.has(made) && !this.#asked('delete');
    const gone = isGone(seen.sealed) && isGone(seen.recovered) && isGone(seen.after);
    if (gone) {
      if (mustBe) return `is gone: ${seen.recovered instanceof Refusal ? seen.recovered.message : ''}`;
      return listed && this.#did('delete') ? 'was deleted, and is listed' : undefined;
    }
    if (!mayBe)
      return made !== undefined && this.#did('delete') ? 'was deleted, and is back' : 'was never made, and is there';
    // between there and not there; what is shown all the same must be right
    const halfGone = this.#asked('delete');
    return (
      this.#judgeFence(seen, halfGone) ??
      this.#judgeRecovery(seen, halfGone) ??
      this.#judgeContent(made, seen, halfGone)
    );
  }

  /** A recovery that was answered in a later epoch. */
  #judgeFence({ inLowEpoch }: SeenSegment, halfGone: boolean): string | undefined {
    const fenced = this.#acts.some((act) => act.does === 'recover' && this.#known.done.has(act));
    if (fenced && !(inLowEpoch instanceof Refusal)) return 'had been fenced, and was recovered in a lower epoch';
    const higher = this.#asked('recover') || this.#acts.some((act) => act.does === 'create' && act.epoch > 1);
    if (!halfGone && inLowEpoch instanceof Refusal && !(higher && inLowEpoch.is('FENCED')))
      return `was not recovered: ${inLowEpoch.message}`;
    return undefined;
  }

  #judgeRecovery({ recovered, again, inLowEpoch }: SeenSegment, halfGone: boolean): string | undefined {
    if (recovered instanceof Refusal) return halfGone ? undefined : `was not recovered: ${recovered.message}`;
    if (again instanceof Refusal) return `was recovered once, and then not: ${again.message}`;
    if (!(inLowEpoch instanceof Refusal) && inLowEpoch.end !== recovered.end)
      return `was recovered to ${inLowEpoch.end}, and in a later epoch to ${recovered.end}`;
    return again.end === recovered.end ? undefined : `was recovered to ${recovered.end}, and then to ${again.end}`;
  }

  #judgeContent(made: Act, seen: SeenSegment, halfGone: boolean): string | undefined {
    const { sealed, recovered, after, later } = seen;
    if (this.#settledEnd !== undefined && sealed instanceof Refusal && !halfGone)
      return `was sealed, and cannot be read before it is recovered: ${sealed.message}`;
    if (sealed instanceof Refusal && !halfGone && !sealed.is('SEGMENT_NOT_SEALED'))
      return `should be open or readable: ${sealed.message}`;
    if (after instanceof Refusal) return halfGone ? undefined : `cannot be read after recovery: ${after.message}`;
    for (const content of [sealed, after, later]) {
      if (content === undefined || content instanceof Refusal) continue;
      const wrong = this.#judgeOne(made, content);
      if (wrong !== undefined) return wrong;
      if (!(recovered instanceof Refusal) && content.end !== recovered.end)
        return `ends at ${content.end} for a reader, recovery said ${recovered.end}`;
    }
    if (later instanceof Refusal && !halfGone) return `cannot be read after another restart: ${later.message}`;
    return undefined;
  }

  judgeDamaged({ sealed, recovered, after }: SeenSegment): string | undefined {
    const made = this.#acts.find((act) => act.does === 'create' || act.does === 'ingest');
    if (made === undefined) return undefined;
    const open = this.#settledEnd === undefined;
    for (const [content, also] of [
      [sealed, ['SEGMENT_NOT_SEALED']],
      [after, open ? ['SEGMENT_NOT_SEALED'] : []],
    ] as const) {
      if (!(content instanceof Refusal)) {
        const wrong = this.#judgeOne(made, content);
        if (wrong !== undefined) return wrong;
      } else if (!content.is(...ALOUD, ...also)) return `cannot be read, and not in so many words: ${content.message}`;
    }
    if (recovered instanceof Refusal)
      return recovered.is(...ALOUD) ? undefined : `cannot be recovered, and not in so many words: ${recovered.message}`;
    return after instanceof Refusal || after.end === recovered.end
      ? undefined
      : `ends at ${after.end} for a reader, recovery said ${recovered.end}`;
  }

  #judgeOne(made: Act, content: Content): string | undefined {
    if (made.does !== 'create' && made.does !== 'ingest') return undefined;
    if (content.base !== made.base) return `begins at ${content.base}, not at ${made.base}`;
    if (!Buffer.from(content.state).equals(made.state)) return 'has another state than it was given';
    if (content.misled !== undefined) return `misleads its readers: ${content.misled}`;
    const settled = this.#settledEnd;
    if (settled !== undefined && content.end !== settled) return `ends at ${content.end}, it was sealed at ${settled}`;
    if (made.does === 'ingest') return this.#compare(content, made.batches, made.end);
    const appends = this.#acts.flatMap((act) => (act.does === 'append' ? [act] : []));
    const ends = [made.base, ...appends.filter((act) => this.#known.begun.has(act)).map(endOf)];
    const acknowledged = appends.filter((act) => this.#known.done.has(act)).map(endOf);
    const least = Math.max(made.base, ...acknowledged);
    if (content.end < least) return `ends at ${content.end}, appends up to ${least} were acknowledged`;
    if (!ends.includes(content.end)) return `ends at ${content.end}, where no append ever ended`;
    const batches = appends.flatMap((act) => act.batches).filter(({ next }) => next <= content.end);
    return this.#compare(content, batches, content.end);
  }

  #compare(content: Content, wanted: readonly Stored[], end: number): string | undefined {
    if (content.end !== end) return `ends at ${content.end}, it should at ${end}`;
    for (const [i, batch] of wanted.entries()) {
      const found = content.batches[i];
      if (found === undefined) return `ends at ${content.end}, and has nothing at offset ${batch.base}`;
      if (found.base !== batch.base || found.next !== batch.next || !found.body.equals(batch.body))
        return `has something else at offset ${batch.base} than was stored`;
    }
    return content.batches.length === wanted.length ? undefined : `has more than was stored, behind offset ${end}`;
  }

  /** Where it ends for ever, if anybody was told. */
  get #settledEnd(): number | undefined {
    for (const act of this.#acts) {
      if (!this.#known.done.has(act)) continue;
      if (act.does === 'seal' || act.does === 'recover' || act.does === 'ingest') return act.end;
    }
    return undefined;
  }

  #asked(does: Act['does']): boolean {
    return this.#acts.some((act) => act.does === does && this.#known.begun.has(act));
  }

  #did(does: Act['does']): boolean {
    return this.#acts.some((act) => act.does === does && this.#known.done.has(act));
  }
}

function endOf(act: Extract<Act, { does: 'append' }>): number {
  return act.batches.at(-1)?.next ?? 0;
}

function isGone(what: unknown): boolean {
  return what instanceof Refusal && what.is('SEGMENT_UNKNOWN', 'SEGMENT_LOST');
}
