import type { SyncFileSystem } from '@robustmq/core';

/** The worker's file system, in a thread that ends at the `dieAt`th write. 0: it never begins. */
export async function createSyncFileSystem(options: {
  readonly under: { readonly module: string; readonly options: unknown };
  readonly dieAt: number;
}): Promise<SyncFileSystem> {
  if (options.dieAt === 0) throw new Error('the module is broken');
  const under = await import(options.under.module);
  const disk: SyncFileSystem = await under.createSyncFileSystem(options.under.options);
  let writes = 0;
  return {
    ...disk,
    writev: (fd, buffers, position) => {
      if (++writes === options.dieAt) process.exit(0);
      disk.writev(fd, buffers, position);
    },
  };
}
