/** True for an error that a full disk or a quota gave, whoever wraps it; LevelDB says it only in words. */
export function isDiskFull(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as NodeJS.ErrnoException;
    if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'DISK_FULL') return true;
    if (/No space left on device|Disk quota exceeded/.test(at.message)) return true;
  }
  return false;
}
