import assert from 'node:assert/strict';
import { isStorageError, type Outcome, type StorageCode, type StorageError } from '@robustmq/core';
import type { Stored } from './batches.ts';

/** The promise is rejected, with a typed error of one of these codes. */
export async function refused(
  promise: Promise<unknown> | undefined,
  codes: StorageCode | readonly StorageCode[],
  outcome?: Outcome,
): Promise<StorageError> {
  const wanted = typeof codes === 'string' ? [codes] : codes;
  let given: unknown;
  try {
    given = await promise;
  } catch (error) {
    assert.ok(isStorageError(error), `a StorageError was wanted, it was ${String(error)}`);
    assert.ok(wanted.includes(error.code), `${wanted.join(' or ')} was wanted, it was ${error.code}: ${error.message}`);
    if (outcome !== undefined) assert.equal(error.outcome, outcome, `outcome of ${error.code}`);
    return error;
  }
  assert.fail(`${wanted.join(' or ')} was wanted, it succeeded with ${JSON.stringify(given)}`);
}

/** What the promise came to, without throwing. */
export async function settled<T>(
  promise: Promise<T>,
): Promise<{ readonly value: T } | { readonly error: StorageError }> {
  try {
    return { value: await promise };
  } catch (error) {
    assert.ok(isStorageError(error), `a StorageError was wanted, it was ${String(error)}`);
    return { error };
  }
}

/** The batches lie one behind the other from `base`, and are these. */
export function assertHolds(found: readonly Stored[], base: number, bodies: readonly Buffer[]): void {
  let next = base;
  for (const [i, batch] of found.entries()) {
    assert.equal(batch.base, next, `offset of batch ${i}`);
    next = batch.next;
    const body = bodies[i];
    assert.ok(body !== undefined, `batch ${i} at offset ${batch.base} was never appended`);
    assert.ok(batch.body.equals(body), `batch ${i} at offset ${batch.base} is not what was appended`);
  }
  assert.equal(found.length, bodies.length, 'number of batches');
}
