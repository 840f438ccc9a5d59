import { constants } from 'node:os';

export type FaultOperation = (typeof OPERATIONS)[number];

/** One operation of a file system. */
export interface FaultStep {
  readonly operation: FaultOperation;
  readonly path: string;
  /** By so much the file gets longer. */
  readonly grows?: number;
  /** A write that is on the disk when it returns (O_DSYNC). */
  readonly synced?: boolean;
}

export type FaultCode = (typeof ERRORS)[number];

export const OPERATIONS = [
  'open',
  'create',
  'read',
  'write',
  'sync',
  'truncate',
  'rename',
  'unlink',
  'syncDirectory',
  'mkdir',
  'size',
  'readdir',
] as const;

/** Those that only look: a file that is there already, its bytes, its length, the names in a directory. */
export const READS: readonly FaultOperation[] = ['open', 'read', 'size', 'readdir'];

/** Those that change what is on the disk. */
export const CHANGES: readonly FaultOperation[] = OPERATIONS.filter((name) => !READS.includes(name));

export const ERRORS = ['EIO', 'ENOSPC', 'EMFILE', 'EACCES', 'ENOENT'] as const;

/** As Node's own errors are. */
export function plannedError(code: FaultCode, operation: string, path: string): Error {
  const error = new Error(`${code}: planned fault, ${operation} '${path}'`);
  return Object.assign(error, { code, errno: -constants.errno[code], syscall: operation, path });
}
