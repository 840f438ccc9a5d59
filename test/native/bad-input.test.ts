import { afterAll, beforeAll, describe, test } from 'vitest';
import { type Damage, damageIsTold, isNotTakenFor, refusesToStart, startsWithout } from './bad-store.ts';
import { answering, HTML, problem, xml } from './s3-answers.ts';
import { type OwnStore, s3AtHand } from './store-at-hand.ts';
import type { EngineSettings } from './stress.ts';

let store: OwnStore;
beforeAll(async () => {
  store = await s3AtHand();
});
afterAll(() => store?.stop());

/** Impatient: what is shown is what it says. */
const lake = (own: EngineSettings = {}): EngineSettings => ({
  ...store.engine,
  flushIntervalMs: 20,
  requestTimeoutMs: '500ms',
  patienceMs: '600ms',
  ...own,
});

describe('A node whose store can not be used', () => {
  const without = (own: EngineSettings, code: RegExp, hint: RegExp): Promise<void> =>
    startsWithout({ good: lake(), bad: lake(own) }, code, hint);

  test(
    'because nothing listens there',
    () => without({ endpoint: 'http://127.0.0.1:9' }, /STORE_UNAVAILABLE/, /setting endpoint/),
    60_000,
  );

  test(
    'because its name does not resolve',
    () => without({ endpoint: 'http://no-such-host.invalid' }, /STORE_UNAVAILABLE/, /setting endpoint/),
    60_000,
  );

  test(
    'because it does not know the credentials',
    () => without({ secretAccessKey: 'wrong-secret' }, /STORE_DENIED/, /secretAccessKey/),
    60_000,
  );

  test.each([
    ['a clock that is wrong', 403, 'RequestTimeTooSkewed', /STORE_DENIED/, /synchronise/],
    ['credentials that have expired', 400, 'ExpiredToken', /STORE_DENIED/, /Renew the credentials/],
    ['a right that is missing', 403, 'AccessDenied', /STORE_DENIED/, /s3:GetObject/],
    ['too many requests', 503, 'SlowDown', /STORE_UNAVAILABLE/, /flushIntervalMs/],
  ] as const)(
    'because of %s',
    (_, status, code, said, hint) =>
      answering(xml(status, problem(code)), (endpoint) => without({ endpoint }, said, hint)),
    60_000,
  );
});

describe('A node whose settings can not be meant', () => {
  test(
    'does not start with a bucket that does not exist',
    () => refusesToStart(lake({ bucket: 'no-such-bucket' }), 'STORE_MISCONFIGURED', /Create the bucket/),
    60_000,
  );

  test(
    'does not start with a bucket in another region',
    () =>
      answering(xml(301, problem('PermanentRedirect')), (endpoint) =>
        refusesToStart(lake({ endpoint }), 'STORE_MISCONFIGURED', /setting region/),
      ),
    60_000,
  );

  test(
    'does not start when what answers is no store',
    () =>
      answering(xml(200, HTML), (endpoint) =>
        refusesToStart(lake({ endpoint }), 'STORE_MISCONFIGURED', /Check endpoint/),
      ),
    60_000,
  );

  test(
    'does not start when the place is another one, or was emptied',
    () => isNotTakenFor(lake({ prefix: 'another/' }), lake()),
    60_000,
  );
});

describe('An object that somebody else has changed', () => {
  test.each([
    ['deleted', 'SEGMENT_LOST'],
    ['cut short', 'CORRUPT'],
    ['changed in one bit', 'CORRUPT'],
  ] as const satisfies [Damage, string][])(
    '%s is told as %s, and nothing else is touched by it',
    (damage, code) => damageIsTold({ ...store, engine: lake() }, damage, code),
    60_000,
  );
});
