import { crc32 } from 'node:zlib';
import type { Frame } from './frame.ts';
import { Segment } from './segment.ts';

/** Every segment, as the frames of the log say one after the other. Nothing else changes it, so a restart gives the same again. */
export class Segments {
  readonly #segments = new Map<string, Segment>();
  /** Segments on their way in. What a crash has left is never published. */
  readonly #attempts = new Map<string, Segment>();

  get(id: string): Segment | undefined {
    return this.#segments.get(id);
  }

  attempt(name: string): Segment | undefined {
    return this.#attempts.get(name);
  }

  dropAttempt(name: string): void {
    this.#attempts.delete(name);
  }

  ids(): string[] {
    return [...this.#segments.keys()].sort();
  }

  apply(frame: Frame, bodyAt: number): void {
    const { kind, id, meta, body } = frame;
    const { base = 0, end = 0, epoch = 0, attempt = '' } = meta;
    const state = { at: bodyAt, bytes: body.length, digest: crc32(body) };
    const segment = this.#segments.get(id);
    if (kind === 'create') this.#segments.set(id, new Segment(base, epoch, state));
    else if (kind === 'append') segment?.add(body, bodyAt);
    else if (kind === 'seal' && segment !== undefined) {
      segment.sealed = true;
      segment.epoch = Math.max(segment.epoch, epoch);
    } else if (kind === 'part') {
      const part = this.#attempts.get(attempt) ?? new Segment(0, 0, state);
      this.#attempts.set(attempt, part);
      part.add(body, bodyAt);
    } else if (kind === 'publish') {
      const published = new Segment(base, epoch, state, meta.uid);
      const part = this.#attempts.get(attempt);
      if (part !== undefined) published.adopt(part);
      published.end = end;
      published.sealed = true;
      this.#segments.set(id, published);
      this.#attempts.delete(attempt);
    } else if (kind === 'delete' && segment !== undefined) {
      segment.deleted = true;
      this.#segments.delete(id);
    }
  }
}
