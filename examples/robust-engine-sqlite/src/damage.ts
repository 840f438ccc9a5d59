const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

/** A row whose digest is wrong, or one that is missing. */
export class DamagedRow extends Error {}

export function saysDamage(error: unknown): boolean {
  const { errcode = 0 } = error as { readonly errcode?: number }; // of the errors of node:sqlite; the low byte is the kind
  return error instanceof DamagedRow || errcode % 256 === SQLITE_CORRUPT || errcode % 256 === SQLITE_NOTADB;
}
