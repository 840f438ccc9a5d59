import { StoreError, type StoreTrouble } from '@robustmq/engine-objects';

/** What a client library knows of a failed request. */
export interface Failure {
  /** The store's own: `NoSuchKey`. */
  readonly code?: string | undefined;
  readonly status?: number | undefined;
  readonly message: string;
  readonly cause?: unknown;
}

/** By the store's code; whatever status comes with it. */
const BY_CODE: Readonly<Record<string, StoreTrouble>> = {
  NoSuchKey: 'not-found',
  NotFound: 'not-found',
  PreconditionFailed: 'exists',
  ConditionalRequestConflict: 'conflict',
  OperationAborted: 'conflict',
  SlowDown: 'slow-down',
  SlowDownRead: 'slow-down',
  SlowDownWrite: 'slow-down',
  TooManyRequests: 'slow-down',
  RequestLimitExceeded: 'slow-down',
  Throttling: 'slow-down',
  ThrottlingException: 'slow-down',
  ServiceUnavailable: 'slow-down',
  Busy: 'slow-down',
  InternalError: 'server',
  XMinioBackendDown: 'server',
  ServerNotInitialized: 'server',
  XMinioServerNotInitialized: 'server',
  RequestTimeout: 'timeout',
  TimeoutError: 'timeout',
  // what we sent was damaged or cut on its way
  IncompleteBody: 'unreachable',
  BadDigest: 'unreachable',
  XAmzContentSHA256Mismatch: 'unreachable',
  XAmzContentChecksumMismatch: 'unreachable',
  XMinioStorageFull: 'full',
  XMinioAdminBucketQuotaExceeded: 'full',
  QuotaExceeded: 'full',
  InsufficientStorage: 'full',
  AccessDenied: 'denied',
  AllAccessDisabled: 'denied',
  AccountProblem: 'denied',
  InvalidAccessKeyId: 'credentials',
  SignatureDoesNotMatch: 'credentials',
  CredentialsProviderError: 'credentials',
  InvalidToken: 'credentials',
  InvalidTokenId: 'credentials',
  InvalidClientTokenId: 'credentials',
  ExpiredToken: 'expired',
  ExpiredTokenException: 'expired',
  TokenRefreshRequired: 'expired',
  RequestExpired: 'expired',
  RequestTimeTooSkewed: 'clock-skew',
  NoSuchBucket: 'no-bucket',
  PermanentRedirect: 'wrong-region',
  AuthorizationHeaderMalformed: 'wrong-region',
  IllegalLocationConstraintException: 'wrong-region',
  NoSuchUpload: 'no-upload',
  InvalidPart: 'no-upload',
  // moved to a class that has to be restored before it is read
  InvalidObjectState: 'refused',
  InvalidRange: 'truncated',
};

/** Where the store gave no code that is known: a HEAD has no body to give one in. */
function byStatus(status: number): StoreTrouble {
  if (status === 404) return 'not-found';
  if (status === 412) return 'exists';
  if (status === 409) return 'conflict';
  if (status === 416) return 'truncated';
  if (status === 401) return 'credentials';
  if (status === 403) return 'denied';
  if (status === 408) return 'timeout';
  if (status === 301 || status === 307) return 'wrong-region';
  if (status === 429 || status === 503) return 'slow-down';
  if (status === 501) return 'refused';
  if (status === 507) return 'full';
  return status >= 500 ? 'server' : 'refused';
}

/** Of Node and its sockets. */
const BY_ERRNO: Readonly<Record<string, StoreTrouble>> = {
  ETIMEDOUT: 'timeout',
  ESOCKETTIMEDOUT: 'timeout',
  ECONNREFUSED: 'unreachable',
  ECONNRESET: 'unreachable',
  ECONNABORTED: 'unreachable',
  EPIPE: 'unreachable',
  ENOTFOUND: 'unreachable',
  EAI_AGAIN: 'unreachable',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  EPROTO: 'unreachable',
};

/**
 * The store certainly did nothing: it said so, or it was never reached. Not among them is SlowDown: it may stand for a write that too few
 * of its drives have taken, and for what a proxy says of a store that it has waited for.
 */
const NOT_APPLIED: ReadonlySet<StoreTrouble> = new Set([
  'not-found',
  'exists',
  'conflict',
  'full',
  'denied',
  'credentials',
  'expired',
  'clock-skew',
  'no-bucket',
  'wrong-region',
  'no-upload',
  'refused',
  'truncated',
  'wrong-range',
]);
const NEVER_SENT: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

export function storeError(failure: Failure, what: string): StoreError {
  const { code, status, message, cause } = failure;
  const trouble = troubleOf(code, status);
  return new StoreError(trouble, `${what}: ${message === '' ? (code ?? `status ${status}`) : message}`, {
    mayBeApplied: !NOT_APPLIED.has(trouble) && !NEVER_SENT.has(code ?? ''),
    code,
    status,
    cause,
  });
}

function troubleOf(code: string | undefined, status: number | undefined): StoreTrouble {
  const known = code === undefined ? undefined : (BY_CODE[code] ?? BY_ERRNO[code]);
  if (known !== undefined) return known;
  if (status !== undefined) return byStatus(status);
  // no answer of the store, and nothing that is known: a connection that ended
  return 'unreachable';
}

/** Runs a deletion: what is not there has been deleted. */
export async function absentIsGone(run: Promise<unknown>): Promise<void> {
  try {
    await run;
  } catch (error) {
    if (error instanceof StoreError && (error.trouble === 'not-found' || error.trouble === 'no-upload')) return;
    throw error;
  }
}
