import { describe, expect, test } from 'vitest';
import { remoteError } from '../../src/webhdfs/remote-error.ts';

/** What Hadoop 3.5.0 has answered, without the stack behind it; those of a secured cluster as its source has them. */
const ANSWERS = [
  ['not-found', 404, 'FileNotFoundException', 'File does not exist: /d/none'],
  ['not-found', 404, 'FileNotFoundException', 'Path is not a file: /d'],
  ['refused', 403, 'AccessControlException', '/robust/afile (is not a directory)'],
  ['exists', 403, 'FileAlreadyExistsException', '/d/f for client 127.0.0.1 already exists'],
  ['truncated', 403, 'IOException', 'Offset=50 out of the range [0, 5); OPEN, path=/d/f'],
  [
    'not-active',
    403,
    'StandbyException',
    'Operation category READ is not supported in state standby. Visit https://s.apache.org/sbnn-error',
  ],
  [
    'not-active',
    403,
    'IOException',
    'org.apache.hadoop.ipc.RemoteException(org.apache.hadoop.ipc.StandbyException): Operation category WRITE is not supported in state standby.',
  ],
  ['server', 403, 'RetriableException', 'Namenode is in startup mode'],
  ['server', 403, 'RetriableException', 'NameNode still not started'],
  ['server', 403, 'IOException', 'Failed to find datanode, suggest to check cluster health. excludeDatanodes=null'],
  [
    'server',
    403,
    'IOException',
    'All datanodes [DatanodeInfoWithStorage[127.0.0.1:17260,DS-6c79ea47-ab8e-473f-a4dc-f11282947aeb,DISK]] are bad. Aborting...',
  ],
  [
    'server',
    403,
    'EOFException',
    'End of File Exception between local host is: "vm/127.0.0.1"; destination host is: "localhost":23552;',
  ],
  [
    'server',
    403,
    'ConnectException',
    'Call From vm/127.0.0.1 to localhost:1 failed on connection exception: Connection refused',
  ],
  ['server', 403, 'BlockMissingException', 'Could not obtain block: BP-1:blk_1073741826_1002 file=/d/f'],
  [
    'server',
    403,
    'SocketTimeoutException',
    'Call From vm/127.0.0.1 to localhost:23552 failed on socket timeout exception',
  ],
  ['server', 500, 'NullPointerException', ''],
  [
    'unclosed',
    403,
    'CannotObtainBlockLengthException',
    'Cannot obtain block length for LocatedBlock{BP-1-127.0.0.1-1:blk_1073741831_1107; getBlockSize()=14728; corrupt=false; offset=0} of /d/f',
  ],
  ['unclosed', 403, 'IOException', 'Cannot obtain block length for LocatedBlock{BP-1-10.2.201.11-1:blk_1_8}'],
  [
    'read-only',
    403,
    'SafeModeException',
    'Cannot create directory /d/z. Name node is in safe mode.\nIt was turned on manually. Use "hdfs dfsadmin -safemode leave" to turn safe mode off.',
  ],
  ['read-only', 403, 'IOException', 'Pipeline not updated. Name node is in safe mode.'],
  [
    'full',
    403,
    'IOException',
    'File /d/k could only be written to 0 of the 1 minReplication nodes. There are 1 datanode(s) running and 1 node(s) are excluded in this operation.',
  ],
  [
    'server',
    403,
    'IOException',
    'File /d/k could only be written to 0 of the 1 minReplication nodes. There are 0 datanode(s) running and 0 node(s) are excluded in this operation.',
  ],
  [
    'full',
    403,
    'NSQuotaExceededException',
    'The NameSpace quota (directories and files) of directory /q is exceeded: quota=2 file count=3',
  ],
  [
    'full',
    403,
    'DSQuotaExceededException',
    'The DiskSpace quota of /q is exceeded: quota = 100 B = 100 B but diskspace consumed = 1048576 B = 1 MB',
  ],
  [
    'full',
    403,
    'MaxDirectoryItemsExceededException',
    'The directory item limit of /d is exceeded: limit=1048576 items=1048576',
  ],
  [
    'conflict',
    403,
    'AlreadyBeingCreatedException',
    'Failed to APPEND_FILE /d/f for DFSClient_NONMAPREDUCE_1 on 127.0.0.1 because this file lease is currently owned by DFSClient_NONMAPREDUCE_2',
  ],
  [
    'conflict',
    403,
    'RecoveryInProgressException',
    'Failed to APPEND_FILE /d/f because lease recovery is in progress. Try again later.',
  ],
  [
    'denied',
    403,
    'AccessControlException',
    'Permission denied: user=mallory, access=WRITE, inode="/d":root:supergroup:drwxr-xr-x',
  ],
  ['denied', 401, 'AuthorizationException', 'User: knox is not allowed to impersonate mallory'],
  [
    'credentials',
    403,
    'InvalidToken',
    "token (token for root: HDFS_DELEGATION_TOKEN owner=root, renewer=root, realUser=, issueDate=1, maxDate=2, sequenceNumber=1, masterKeyId=2) can't be found in cache",
  ],
  [
    'expired',
    403,
    'InvalidToken',
    'token (token for root: HDFS_DELEGATION_TOKEN owner=root, renewer=root, realUser=, issueDate=1, maxDate=2, sequenceNumber=1, masterKeyId=2) is expired, current time: 2026-11-28 13:04:09,423+0000 expected renewal time: 2026-11-28 13:04:03,423+0000',
  ],
  [
    'expired',
    401,
    'SecurityException',
    'Failed to obtain user group information: org.apache.hadoop.security.token.SecretManager$InvalidToken: token (token for root: HDFS_DELEGATION_TOKEN owner=root) is expired, current time: 2026-11-28 13:04:09,423+0000',
  ],
  [
    'credentials',
    401,
    'SecurityException',
    'Failed to obtain user group information: java.io.IOException: Security enabled but user not authenticated by filter',
  ],
  ['credentials', 401, 'AuthenticationException', 'Authentication required'],
  ['refused', 400, 'InvalidPathException', 'Invalid path name Invalid file name: /a:b'],
  ['refused', 400, 'IllegalArgumentException', 'Invalid value for webhdfs parameter "user.name": Invalid value: "a b"'],
  ['refused', 400, 'UnsupportedOperationException', 'op=NULL is not supported'],
  ['refused', 403, 'ParentNotDirectoryException', '/d/f (is not a directory)'],
  [
    'refused',
    403,
    'IOException',
    'The XAttr operation has been rejected.  Support for XAttrs has been disabled by setting dfs.namenode.xattrs.enabled to false.',
  ],
] as const;

/** It has not said that it did nothing. */
const UNSURE = new Set(['server', 'timeout', 'unreachable', 'slow-down']);

describe('what a NameNode or a DataNode says', () => {
  test.each(ANSWERS)('is %s: %d %s: %s', (trouble, status, exception, message) => {
    const error = remoteError('APPEND /d/f', status, {
      exception,
      message: `${message}\n\tat org.apache.hadoop.Server`,
    });
    expect(error).toMatchObject({ trouble, status, code: exception, mayBeApplied: UNSURE.has(trouble) });
    expect(error.message).toBe(`APPEND /d/f: ${exception}: ${message.split('\n')[0]}`);
  });

  test('of an inner class is told by the last part of its name', () => {
    const answer = { exception: 'SecretManager$InvalidToken', message: "can't be found in cache" };
    expect(remoteError('OPEN /d/f', 403, answer).trouble).toBe('credentials');
  });

  test('is no longer than a line of the log', () => {
    const { message } = remoteError('OPEN /d/f', 403, { exception: 'IOException', message: 'x'.repeat(100_000) });
    expect(message.length).toBeLessThan(400);
  });
});

describe('an answer that has no word of WebHDFS', () => {
  test.each([
    [302, 'refused'],
    [400, 'refused'],
    [401, 'credentials'],
    [403, 'denied'],
    [404, 'refused'],
    [405, 'refused'],
    [429, 'slow-down'],
    [500, 'server'],
    [502, 'server'],
    [503, 'slow-down'],
    [507, 'full'],
  ] as const)('of status %d is %s', (status, trouble) => {
    const error = remoteError('OPEN /d/f', status, undefined);
    expect(error).toMatchObject({ trouble, status, code: undefined, mayBeApplied: UNSURE.has(trouble) });
    expect(error.message).toBe(`OPEN /d/f: status ${status}`);
  });
});
