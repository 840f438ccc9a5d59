import { encodeBatch, readHeader } from '@robustmq/core/batch';
import { describe, expect, it } from 'vitest';
import { MAX_PRODUCERS, Producers } from '../../src/fold/producers.ts';

function header(id: number, epoch: number, sequence: number) {
  return readHeader(encodeBatch([{ timestamp: 1, key: null, value: null }], { producer: { id, epoch, sequence } }), 0);
}

describe('The fold of producers', () => {
  it('forgets the one that has been silent for longest, and a new epoch is no silence', () => {
    const producers = new Producers();
    for (let id = 1; id <= MAX_PRODUCERS; id++) producers.apply(header(id, 0, 0), 1);
    producers.apply(header(1, 1, 0), 2);
    producers.apply(header(MAX_PRODUCERS + 1, 0, 0), 3);
    expect(producers.size).toBe(MAX_PRODUCERS);
    expect(producers.check(header(1, 1, 0))).toMatchObject({ kind: 'duplicate' });
    expect(producers.check(header(2, 0, 0))).toEqual({ kind: 'new' });
  });
});
