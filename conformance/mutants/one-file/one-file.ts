import { defineEngine, ENGINE_API_VERSION, type EngineContext, type EngineDefinition } from '@robustmq/core';
import { OneFileEngine } from './one-file-engine.ts';
import { OneFileLog } from './one-file-log.ts';
import { MAX_BATCH_BYTES } from './one-file-writer.ts';

/** The sound engine, or one with a part of it replaced. */
export function oneFile(
  Engine: typeof OneFileEngine = OneFileEngine,
  Log: typeof OneFileLog = OneFileLog,
): EngineDefinition {
  return defineEngine({
    name: 'one-file',
    apiVersion: ENGINE_API_VERSION,
    version: '0.1.0',
    configSchema: { type: 'object', additionalProperties: false, properties: {} },
    capabilities: { durability: 'fsync', placement: 'node', append: true, maxBatchBytes: MAX_BATCH_BYTES },
    open: async (ctx) => {
      const lock = await ctx.lock(ctx.dir);
      let file: Awaited<ReturnType<typeof openFile>> | undefined;
      let log: OneFileLog | undefined;
      try {
        file = await openFile(ctx);
        log = new Log(file, ctx);
        const engine = new Engine(log, ctx, lock);
        await engine.start();
        return engine;
      } catch (error) {
        log?.stop();
        await file?.close().catch(() => {});
        await lock.release();
        throw error;
      }
    },
  });
}

async function openFile({ fs, dir }: EngineContext): ReturnType<EngineContext['fs']['open']> {
  const path = `${dir}/segments.one`;
  try {
    return await fs.open(path, 'r+');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error; // as node's own errors are
    return await fs.open(path, 'wx+');
  }
}

export default oneFile() as EngineDefinition;
