import type { EngineDefinition, SegmentWriter } from '@robustmq/core';
import localFile from '@robustmq/engine-local-file';

const sound = localFile as unknown as EngineDefinition; // opened with the configuration of its own schema

/** Acknowledges first, and writes a moment later. */
const engine: EngineDefinition = {
  ...sound,
  open: async (ctx) => {
    const inner = await sound.open(ctx);
    const create = inner.create.bind(inner);
    inner.create = async (id, options) => hasty(await create(id, options));
    return inner;
  },
};

function hasty(writer: SegmentWriter): SegmentWriter {
  const append = writer.append.bind(writer);
  const seal = writer.seal.bind(writer);
  let written: Promise<unknown> = Promise.resolve();
  writer.append = async (batches, { base }) => {
    const kept = batches.map((batch) => Buffer.from(batch));
    written = written.then(() => new Promise((resolve) => setTimeout(resolve, 20))).then(() => append(kept, { base }));
    return { next: base + kept.reduce((sum, batch) => sum + batch.readInt32BE(57), 0) };
  };
  writer.seal = async () => {
    await written;
    return await seal();
  };
  return writer;
}

export default engine;
