import { type ObjectStore, StoreError } from './port.ts';

const RACERS = 12;
const RACES = 2;

export const PROBE_REQUESTS: number = RACERS * RACES;

/**
 * Asks the store several times at once to create one object "if there is none". Where more than one is told that it did, or none, conditions can not be
 * relied upon even as a second line of defence; some stores ignore them, some check and then act.
 * `keys` are names that no object has; what is left under them afterwards is for the caller to delete.
 * @throws StoreError when nothing can be told: the store can't be reached, or refuses us
 */
export async function probeConditionalCreates(store: ObjectStore, keys: readonly string[]): Promise<boolean> {
  for (const key of keys.slice(0, RACES)) {
    const results = await Promise.allSettled(
      Array.from({ length: RACERS }, (_, racer) =>
        store.put(key, [Buffer.from(String(racer))], { uid: String(racer), ifAbsent: true }),
      ),
    );
    await store.delete(key);
    const refusals = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
    for (const refusal of refusals) {
      if (!(refusal instanceof StoreError)) throw refusal;
      // it does not know such requests
      if (refusal.trouble === 'refused') return false;
      if (refusal.trouble !== 'exists' && refusal.trouble !== 'conflict') throw refusal;
    }
    if (results.length - refusals.length !== 1) return false;
  }
  return true;
}
