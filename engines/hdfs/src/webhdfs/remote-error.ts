import { StoreError, type StoreTrouble } from '@robustmq/engine-objects';

/** What WebHDFS says of a failure: the `RemoteException` of its answer. */
export interface RemoteException {
  readonly exception: string;
  readonly message: string;
}

/** By Hadoop's class. */
const BY_EXCEPTION: Readonly<Record<string, StoreTrouble>> = {
  FileNotFoundException: 'not-found',
  FileAlreadyExistsException: 'exists',
  StandbyException: 'not-active',
  ObserverRetryOnActiveException: 'not-active',
  RetriableException: 'server',
  SafeModeException: 'read-only',
  AccessControlException: 'denied',
  AuthorizationException: 'denied',
  SecurityException: 'credentials',
  InvalidToken: 'credentials',
  AuthenticationException: 'credentials',
  QuotaExceededException: 'full',
  NSQuotaExceededException: 'full',
  DSQuotaExceededException: 'full',
  MaxDirectoryItemsExceededException: 'full',
  AlreadyBeingCreatedException: 'conflict',
  RecoveryInProgressException: 'conflict',
  CannotObtainBlockLengthException: 'unclosed',
  LeaseExpiredException: 'conflict',
  UnsupportedOperationException: 'refused',
  IllegalArgumentException: 'refused',
  InvalidPathException: 'refused',
  ParentNotDirectoryException: 'refused',
  PathComponentTooLongException: 'refused',
};

/** Somebody has said no before anything was done. */
const NOT_APPLIED: ReadonlySet<StoreTrouble> = new Set([
  'not-found',
  'exists',
  'not-active',
  'read-only',
  'unclosed',
  'denied',
  'credentials',
  'expired',
  'conflict',
  'full',
  'refused',
  'truncated',
]);

/** @param remote `undefined`: the answer was none of WebHDFS */
export function remoteError(what: string, status: number, remote: RemoteException | undefined): StoreError {
  const trouble = remote === undefined ? byStatus(status) : troubleOf(remote, status);
  const said = remote === undefined ? `status ${status}` : `${remote.exception}: ${firstLine(remote.message)}`;
  return new StoreError(trouble, `${what}: ${said}`, {
    mayBeApplied: !NOT_APPLIED.has(trouble),
    code: remote?.exception,
    status,
  });
}

function troubleOf({ exception, message }: RemoteException, status: number): StoreTrouble {
  const name = exception.slice(exception.lastIndexOf('$') + 1);
  if (/is expired|has expired/.test(message) && BY_EXCEPTION[name] === 'credentials') return 'expired';
  // a proxied user's StandbyException comes wrapped
  if (/StandbyException|Operation category \w+ is not supported in state standby/.test(message)) return 'not-active';
  // who has no rights of a superuser is told so when a part of the path is a file
  if (/\(is not a directory\)/i.test(message)) return 'refused';
  const known = BY_EXCEPTION[name];
  if (known !== undefined) return known;
  // of an older Hadoop, without a class of its own
  if (/Cannot obtain block length/.test(message)) return 'unclosed';
  if (/Offset=\d+ out of the range/.test(message)) return 'truncated';
  if (/could only be written to \d+ of the|No space left|not enough space|out of space/i.test(message))
    // a DataNode that has none says it is excluded; without any it is an outage
    return /There are 0 datanode/.test(message) ? 'server' : 'full';
  if (/safe mode/i.test(message)) return 'read-only';
  if (/XAttr operation has been rejected/.test(message)) return 'refused';
  // every other IOException is a 403, too: DataNodes that have not registered yet, a block that none of them has, connections that broke behind the gateway
  return status === 403 ? 'server' : byStatus(status);
}

function byStatus(status: number): StoreTrouble {
  if (status === 401) return 'credentials';
  if (status === 403) return 'denied';
  if (status === 429 || status === 503) return 'slow-down';
  if (status === 507) return 'full';
  // 404, too: of a file that is not there WebHDFS says so in words
  return status >= 500 ? 'server' : 'refused';
}

/** Hadoop puts stack traces behind it. */
function firstLine(message: string): string {
  return message.split('\n', 1)[0]?.slice(0, 300) ?? '';
}
