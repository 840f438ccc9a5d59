import { StorageError } from '@robustmq/core';
import { SeededRandom, VirtualClock } from '@robustmq/core/testing';
import { describe, expect, test } from 'vitest';
import { GrowingFile } from '../../src/log/growing-file.ts';
import type { SteadyStore } from '../../src/store/steady-store.ts';

type Attempt = (body: readonly Uint8Array[] | AsyncIterable<Uint8Array>) => Promise<void>;

/** A file on a store whose first appends end as is said, and what became of all. */
function world(attempts: Attempt[], patienceMs = 1000) {
  const clock = new VirtualClock();
  const tried: string[] = [];
  const told: string[] = [];
  const append: SteadyStore['append'] = async (key, at, body) => {
    tried.push(`${key} at ${at}`);
    const attempt = attempts.shift();
    if (attempt !== undefined) await attempt(body);
    else for await (const _ of body);
  };
  let files = 0;
  const file = new GrowingFile({
    // nothing else of it is asked for
    store: { append } as SteadyStore,
    clock,
    random: new SeededRandom(1),
    limitBytes: 10,
    patienceMs,
    keyOf: (object) => object,
    next: async () => ({ object: `file-${++files}`, number: files }),
    opened: (object) => told.push(`opened ${object}`),
    closed: (object) => told.push(`closed ${object}`),
    pin: () => () => {},
    doubt: (object) => told.push(`doubt ${object}`),
  });
  /** The clock goes on until it has settled. */
  const settled = async <T>(running: Promise<T>): Promise<T> => {
    let isSettled = false;
    running.then(
      () => (isSettled = true),
      () => (isSettled = true),
    );
    while (!isSettled) await clock.advance(10);
    return await running;
  };
  return { file, tried, told, settled, clock };
}

const fails =
  (code: 'STORE_UNAVAILABLE' | 'STORE_DENIED' | 'SEGMENT_LOST' | 'STORE_MISCONFIGURED'): Attempt =>
  async () => {
    const retryable = code === 'STORE_UNAVAILABLE' || code === 'STORE_DENIED';
    throw new StorageError(code, 'as the test wants it', { retryable });
  };
const well: Attempt = async (body) => {
  for await (const _ of body);
};

async function* chunks(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}
const four = () => [Buffer.from('four')];

describe('a file that grows', () => {
  test('takes one append behind the other, until it is full', async () => {
    const { file, tried, told } = world([]);
    const places = [];
    for (let i = 0; i < 4; i++) places.push(await file.append(four, {}));
    expect(tried).toEqual(['file-1 at 0', 'file-1 at 4', 'file-1 at 8', 'file-2 at 0']);
    expect(places.map(({ object, from }) => `${object} ${from}`)).toEqual([
      'file-1 0',
      'file-1 4',
      'file-1 8',
      'file-2 0',
    ]);
    expect(told).toEqual(['opened file-1', 'closed file-1', 'opened file-2']);
  });

  test.each(['STORE_UNAVAILABLE', 'SEGMENT_LOST'] as const)(
    'gives way to another one after any failure that passes, and after it was deleted: %s',
    async (code) => {
      const { file, tried, told, settled } = world([well, fails(code)]);
      await file.append(four, {});
      expect(await settled(file.append(four, {}))).toMatchObject({ object: 'file-2', number: 2, from: 0 });
      expect(tried).toEqual(['file-1 at 0', 'file-1 at 4', 'file-2 at 0']);
      expect(told).toEqual(['opened file-1', 'closed file-1', 'opened file-2']);
    },
  );

  test('that may or may not be there is doubted', async () => {
    const { file, told, settled } = world([fails('STORE_UNAVAILABLE')]);
    await settled(file.append(four, {}));
    expect(told).toEqual(['doubt file-1', 'opened file-2']);
  });

  test('that is surely not there leaves its name to the next try', async () => {
    const refused: Attempt = async () => {
      throw new StorageError('STORE_UNAVAILABLE', 'standby', { outcome: 'none', retryable: true });
    };
    const { file, tried, told, settled } = world([refused, refused]);
    await settled(file.append(four, {}));
    expect(tried).toEqual(['file-1 at 0', 'file-1 at 0', 'file-1 at 0']);
    expect(told).toEqual(['opened file-1']);
  });

  test('does not try what will never pass again', async () => {
    const { file, tried, settled } = world([fails('STORE_MISCONFIGURED')]);
    await expect(settled(file.append(four, {}))).rejects.toMatchObject({ code: 'STORE_MISCONFIGURED' });
    expect(tried).toEqual(['file-1 at 0']);
  });

  test('gives up when its patience is over', async () => {
    const { file, settled } = world(Array.from({ length: 100 }, () => fails('STORE_UNAVAILABLE')));
    await expect(settled(file.append(four, {}))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });

  test('does not wait for a person as long as for a store that is away', async () => {
    const often = Array.from({ length: 100 }, () => fails('STORE_DENIED'));
    const { file, settled, clock } = world([...often], 60_000);
    await expect(settled(file.append(four, {}))).rejects.toMatchObject({ code: 'STORE_DENIED' });
    expect(clock.monotonic()).toBeGreaterThan(5000);
    expect(clock.monotonic()).toBeLessThan(10_000);
  });

  test('is tried again with a stream of which nothing has been read', async () => {
    const { file, tried, settled } = world([fails('STORE_UNAVAILABLE'), fails('STORE_UNAVAILABLE')]);
    const place = await settled(file.stream(chunks('ab', 'cde'), {}));
    expect(place).toMatchObject({ object: 'file-3', from: 0, bytes: 5 });
    expect(tried).toHaveLength(3);
    expect(await file.append(four, {})).toMatchObject({ object: 'file-3', from: 5 });
  });

  test('is not tried again with a stream of which something has been read', async () => {
    const { file, tried, settled } = world([
      async (body) => {
        for await (const _ of body) return await fails('STORE_UNAVAILABLE')([]);
      },
    ]);
    await expect(settled(file.stream(chunks('ab', 'cde'), {}))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(tried).toHaveLength(1);
    expect(await file.append(four, {})).toMatchObject({ object: 'file-2', from: 0 });
  });

  test('takes nothing when it is closed', async () => {
    const { file } = world([]);
    await file.append(four, {});
    await file.close();
    await expect(file.append(four, {})).rejects.toMatchObject({ code: 'CLOSED' });
  });
});
