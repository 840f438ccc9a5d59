/** An engine that opens keeps a core busy. */
const PARALLEL = 2;

/** As many at once as there is something to wait for; the first failure ends all. */
export async function inParallel<T>(
  items: Iterable<T>,
  work: (item: T, number: number) => Promise<void>,
  atOnce: number = PARALLEL,
): Promise<void> {
  const todo = numbered(items);
  let failed = false;
  const worker = async (): Promise<void> => {
    for (const [number, item] of todo) {
      if (failed) return;
      try {
        await work(item, number);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  // all have ended before anything is told: none writes into a directory that goes
  const results = await Promise.allSettled(Array.from({ length: atOnce }, worker));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

function* numbered<T>(items: Iterable<T>): Generator<[number, T]> {
  let number = 0;
  for (const item of items) yield [number++, item];
}
