import { expect, test } from 'vitest';
import { IdLocks } from '../src/id-locks.ts';

const later = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function gates() {
  const began: string[] = [];
  const ends = new Map<string, (failed?: true) => void>();
  const work = (name: string) => () => {
    began.push(name);
    return new Promise<string>((resolve, reject) =>
      ends.set(name, (failed) => (failed ? reject(new Error(name)) : resolve(name))),
    );
  };
  return { began, ends, work };
}

test('one at a time is at work on an id, in the order in which they came, whether those before have failed or not', async () => {
  const locks = new IdLocks();
  const { began, ends, work } = gates();
  const first = locks.run('a', work('1'));
  const second = locks.run('a', work('2'));
  const third = locks.run('a', work('3'));
  await later();
  expect(began).toEqual(['1']);
  ends.get('1')?.(true);
  await expect(first).rejects.toThrow('1');
  await later();
  expect(began).toEqual(['1', '2']);
  // whoever comes now waits for the last, not for the first
  const fourth = locks.run('a', work('4'));
  ends.get('2')?.();
  expect(await second).toBe('2');
  await later();
  expect(began).toEqual(['1', '2', '3']);
  ends.get('3')?.();
  expect(await third).toBe('3');
  await later();
  ends.get('4')?.();
  expect(await fourth).toBe('4');
  // nobody is left to wait for
  const again = locks.run('a', work('5'));
  await later();
  expect(began.at(-1)).toBe('5');
  ends.get('5')?.();
  await again;
});

test('nobody waits for work on another id', async () => {
  const locks = new IdLocks();
  const { began, ends, work } = gates();
  const both = [locks.run('a', work('a')), locks.run('b', work('b'))];
  await later();
  expect(began).toEqual(['a', 'b']);
  for (const end of ends.values()) end();
  await Promise.all(both);
});

test('an id is hidden until it is shown again', () => {
  const locks = new IdLocks();
  const show = locks.hide('a');
  locks.hide('b');
  expect([...locks.ingesting]).toEqual(['a', 'b']);
  show();
  expect([...locks.ingesting]).toEqual(['b']);
});
