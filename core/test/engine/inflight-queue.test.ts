import { describe, expect, it } from 'vitest';
import { Inflight } from '../../src/engine/inflight.ts';
import { InflightQueue } from '../../src/engine/inflight-queue.ts';

const append = (base: number): Inflight => new Inflight(Promise.resolve({ next: base + 1 }), base, base + 1, 100, 0);

describe('appends in flight', () => {
  it('leave in the order in which they came, however many there are', () => {
    const queue = new InflightQueue();
    expect([queue.first, queue.last, queue.shift()]).toEqual([undefined, undefined, undefined]);
    let came = 0;
    let left = 0;
    for (let round = 0; round < 40; round++) {
      for (let i = 0; i < 200; i++) queue.push(append(came++));
      for (let i = 0; i < 150; i++) {
        expect(queue.first?.base).toBe(left);
        expect(queue.shift()?.base).toBe(left++);
      }
      expect(queue.last?.base).toBe(came - 1);
      expect(queue.all().map(({ base }) => base)).toEqual(Array.from({ length: came - left }, (_, at) => left + at));
    }
    while (queue.first !== undefined) expect(queue.shift()?.base).toBe(left++);
    expect([left, queue.last, queue.all()]).toEqual([came, undefined, []]);
  });
});
