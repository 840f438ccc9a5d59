import { type StorageCode, StorageError } from '@robustmq/core';
import type { Hints } from '../backend.ts';
import type { StoreError, StoreTrouble } from './port.ts';

interface Advice {
  readonly code: StorageCode;
  readonly retryable: boolean;
  readonly hint: string;
}

/** What a person does about it. */
const ADVICE: Readonly<Record<StoreTrouble, Advice>> = {
  'not-found': {
    code: 'SEGMENT_LOST',
    retryable: false,
    hint: 'Somebody else has deleted the object: restore it from a copy',
  },
  exists: {
    code: 'SEGMENT_EXISTS',
    retryable: false,
    hint: 'Another writer uses the same names: give each cluster a prefix of its own',
  },
  conflict: { code: 'STORE_UNAVAILABLE', retryable: true, hint: 'It is tried again by itself' },
  'slow-down': {
    code: 'STORE_UNAVAILABLE',
    retryable: true,
    hint: 'The store asks for fewer requests: raise flushIntervalMs, or ask its operator for more',
  },
  unreachable: {
    code: 'STORE_UNAVAILABLE',
    retryable: true,
    hint: 'Check the address in the settings, the network, and that the store runs',
  },
  timeout: {
    code: 'STORE_UNAVAILABLE',
    retryable: true,
    hint: 'The store is slow or gone: check it, or raise requestTimeoutMs',
  },
  server: { code: 'STORE_UNAVAILABLE', retryable: true, hint: "Look into the store's own log" },
  'not-active': { code: 'STORE_UNAVAILABLE', retryable: true, hint: 'See that one of the servers is active' },
  'read-only': { code: 'STORE_UNAVAILABLE', retryable: true, hint: 'The store takes no writes at the moment' },
  unclosed: {
    code: 'STORE_UNAVAILABLE',
    retryable: true,
    hint: 'The store has to close it first; it is tried again by itself',
  },
  full: { code: 'DISK_FULL', retryable: true, hint: 'Free space in the store, or raise its quota' },
  truncated: {
    code: 'CORRUPT',
    retryable: false,
    hint: 'Somebody else has changed the object: restore it from a copy',
  },
  'wrong-range': {
    code: 'STORE_UNAVAILABLE',
    retryable: true,
    hint: 'Something between here and the store changes requests: check proxies and caches',
  },
  denied: {
    code: 'STORE_DENIED',
    retryable: true,
    hint: 'Allow this user to read, write and delete there',
  },
  credentials: {
    code: 'STORE_DENIED',
    retryable: true,
    hint: 'Set credentials that the store knows',
  },
  expired: {
    code: 'STORE_DENIED',
    retryable: true,
    hint: 'Renew the credentials',
  },
  'clock-skew': {
    code: 'STORE_DENIED',
    retryable: true,
    hint: 'The clock of this machine and that of the store are too far apart: synchronise them',
  },
  'no-bucket': {
    code: 'STORE_MISCONFIGURED',
    retryable: false,
    hint: 'Create it, or correct the setting that names it',
  },
  gone: {
    code: 'STORE_UNAVAILABLE',
    retryable: true,
    hint: 'Somebody else has moved or deleted the place where the objects lie: bring it back',
  },
  'wrong-region': {
    code: 'STORE_MISCONFIGURED',
    retryable: false,
    hint: 'It lies in another region: correct the setting region',
  },
  'no-upload': {
    code: 'STORE_UNAVAILABLE',
    retryable: true,
    hint: 'The store has given the upload up; it is put again',
  },
  aborted: { code: 'ABORTED', retryable: false, hint: '' },
  refused: {
    code: 'STORE_MISCONFIGURED',
    retryable: false,
    hint: 'The store does not take such requests: check the settings of the instance against what the store supports',
  },
};

export interface Known {
  /** By any try. */
  readonly mayBeApplied: boolean;
  /** What the last answer was says nothing about the object. */
  readonly isUnsure: boolean;
  /** Of the kind of store. */
  readonly hints: Hints;
}

export function asStorageError(
  error: StoreError,
  where: string,
  { mayBeApplied, isUnsure, hints }: Known,
): StorageError {
  const trouble = isUnsure ? 'unreachable' : error.trouble;
  const { code, retryable, hint: general } = ADVICE[trouble];
  const hint = hints[trouble] ?? general;
  return new StorageError(code, error.message, {
    where,
    retryable,
    outcome: mayBeApplied ? 'unknown' : 'none',
    cause: error,
    ...(hint === '' ? {} : { hint }),
  });
}

/** May the same request succeed in a moment? */
export function isPassing(trouble: StoreTrouble): boolean {
  return PASSING.has(trouble);
}

const PASSING: ReadonlySet<StoreTrouble> = new Set([
  'gone',
  'conflict',
  'slow-down',
  'unreachable',
  'timeout',
  'server',
  'not-active',
  'read-only',
  'unclosed',
  'full',
  'truncated',
  'wrong-range',
  // credentials may be renewed behind us, and a policy or a clock mended
  'denied',
  'credentials',
  'expired',
  'clock-skew',
]);
