import {
  type EngineDefinition,
  type SegmentReader,
  type SegmentWriter,
  type StorageEngine,
  StorageError,
} from '@robustmq/core';
import localFile from '@robustmq/engine-local-file';
import memory from '@robustmq/engine-memory';

const MEMORY = memory as EngineDefinition; // the suite hands each the configuration of its own schema
const LOCAL_FILE = localFile as unknown as EngineDefinition;

/** An engine with one thing wrong. `wrong` gets the sound engine; what it does not replace stays sound. */
function broken(
  wrong: (engine: StorageEngine) => Partial<StorageEngine>,
  claims: Partial<EngineDefinition['capabilities']> = {},
  sound: EngineDefinition = MEMORY,
): EngineDefinition {
  return {
    ...sound,
    capabilities: { ...sound.capabilities, ...claims },
    open: async (ctx) => {
      const engine = await sound.open(ctx);
      return override(engine, wrong(engine));
    },
  };
}

function brokenWriter(
  wrong: (writer: SegmentWriter) => Partial<SegmentWriter>,
  sound: EngineDefinition = MEMORY,
): EngineDefinition {
  const create = (engine: StorageEngine): Partial<StorageEngine> => ({
    create: async (id, options) => {
      const writer = await engine.create(id, options);
      return override(writer, wrong(writer));
    },
  });
  return broken(create, {}, sound);
}

function brokenReader(wrong: (reader: SegmentReader) => Partial<SegmentReader>): EngineDefinition {
  return broken((engine) => ({
    openReader: async (id) => {
      const reader = await engine.openReader(id);
      return override(reader, wrong(reader));
    },
  }));
}

function override<T extends object>(sound: T, wrong: Partial<T>): T {
  return new Proxy(sound, {
    get: (target, name) => {
      const own: unknown = Reflect.get(name in wrong ? wrong : target, name);
      return typeof own === 'function' && !(name in wrong) ? own.bind(target) : own;
    },
  });
}

export interface Mutant {
  readonly name: string;
  /** The check that is meant to catch it. */
  readonly caughtBy: string;
  readonly definition: EngineDefinition;
}

export const mutants: readonly Mutant[] = [
  {
    name: 'drops the batch in the middle of an append',
    caughtBy: 'SHARD-010',
    definition: brokenWriter((writer) => ({
      append: (batches, options) =>
        writer.append(batches.length < 3 ? batches : batches.filter((_, i) => i !== batches.length >> 1), options),
    })),
  },
  {
    name: 'damages the middle of a batch',
    caughtBy: 'SHARD-001',
    definition: brokenWriter((writer) => ({
      append: (batches, options) =>
        writer.append(
          batches.map((bytes) => {
            const copy = Buffer.from(bytes);
            if (copy.length > 1000) copy.fill(0, copy.length >> 1, (copy.length >> 1) + 8);
            return copy;
          }),
          options,
        ),
    })),
  },
  {
    name: 'has a stale end after the seal',
    caughtBy: 'SHARD-091',
    definition: brokenReader((reader) => ({
      offsets: () => {
        const { base, end } = reader.offsets();
        const stale = Math.max(base, end - 1);
        return { base, committed: stale, end: stale, sealed: true };
      },
    })),
  },
  {
    name: 'does not fence',
    caughtBy: 'SHARD-040',
    definition: broken((engine) => {
      const writers = new Map<string, SegmentWriter>();
      return {
        create: async (id, options) => {
          const writer = await engine.create(id, options);
          writers.set(id, writer);
          return writer;
        },
        recover: async (id, options) => {
          const writer = writers.get(id);
          return writer === undefined ? await engine.recover(id, options) : { end: writer.offsets().end };
        },
      };
    }),
  },
  {
    name: 'lets a lower epoch recover',
    caughtBy: 'SHARD-042',
    definition: broken((engine) => ({ recover: (id) => engine.recover(id, { epoch: 1000 }) })),
  },
  {
    name: 'lets committed go back',
    caughtBy: 'SHARD-032',
    definition: brokenWriter((writer) => {
      let calls = 0;
      return {
        offsets: () => {
          const { base, committed, end, sealed } = writer.offsets();
          const back = ++calls % 7 === 0 && !sealed ? 1 : 0;
          return { base, committed: Math.max(base, committed - back), end, sealed };
        },
      };
    }),
  },
  {
    name: 'wakes before it commits',
    caughtBy: 'SHARD-033',
    definition: brokenWriter((writer) => {
      let committed = writer.offsets().committed;
      return {
        append: async (batches, options) => {
          const appended = await writer.append(batches, options);
          setImmediate(() => {
            committed = Math.max(committed, appended.next);
          });
          return appended;
        },
        offsets: () => {
          const now = writer.offsets();
          return now.sealed ? now : { ...now, committed };
        },
      };
    }),
  },
  {
    name: 'claims fsync and keeps everything in memory',
    caughtBy: 'SHARD-020',
    definition: broken(() => ({}), { durability: 'fsync' }),
  },
  {
    name: 'acknowledges before the disk has it',
    caughtBy: 'SHARD-021',
    definition: brokenWriter(
      (writer) => ({
        append: async (batches, options) => {
          const last = Buffer.from(batches.at(-1) ?? []);
          writer
            .append(
              batches.map((bytes) => Buffer.from(bytes)),
              options,
            )
            .catch(() => {});
          return { next: Number(last.readBigInt64BE(0)) + last.readInt32BE(23) + 1 };
        },
      }),
      LOCAL_FILE,
    ),
  },
  {
    name: 'seals in memory only',
    caughtBy: 'SHARD-022',
    definition: brokenWriter((writer) => ({ seal: async () => ({ end: writer.offsets().end }) }), LOCAL_FILE),
  },
  {
    name: 'finds an empty segment where data was lost',
    caughtBy: 'SHARD-024',
    definition: broken((engine) => ({
      recover: (id, options) => engine.recover(id, options).catch(() => ({ end: 0 })),
    })),
  },
  {
    name: 'opens a second writer after the seal',
    caughtBy: 'SHARD-054',
    definition: broken((engine) => ({
      create: async (id, options) => {
        await engine.delete(id);
        return await engine.create(id, options);
      },
    })),
  },
  {
    name: 'ignores the uid of what it takes in',
    caughtBy: 'SHARD-063',
    definition: broken((engine) => ({
      ingest: (id, options, batches) => engine.ingest(id, { ...options, uid: 'same' }, batches),
    })),
  },
  {
    name: 'publishes the part it has when the source fails',
    caughtBy: 'SHARD-062',
    definition: broken((engine) => ({
      ingest: (id, options, batches) =>
        engine.ingest(
          id,
          options,
          (async function* () {
            try {
              yield* batches;
            } catch {}
          })(),
        ),
    })),
  },
  {
    name: 'skips to the next batch for an offset inside one',
    caughtBy: 'SHARD-070',
    definition: brokenWriter((writer) => ({
      read: async (from, options) => {
        const read = await writer.read(from, options);
        const base = read.bytes.length === 0 ? from : Number(Buffer.from(read.bytes).readBigInt64BE(0));
        return base < from && read.next < writer.offsets().committed ? await writer.read(read.next, options) : read;
      },
    })),
  },
  {
    name: 'gives nothing when the first batch is larger than asked for',
    caughtBy: 'SHARD-071',
    definition: brokenWriter((writer) => ({
      read: async (from, options) => {
        const read = await writer.read(from, options);
        return read.bytes.length > options.maxBytes ? { bytes: new Uint8Array(0), next: from } : read;
      },
    })),
  },
  {
    name: 'believes that timestamps are sorted',
    caughtBy: 'SHARD-082',
    definition: brokenWriter((writer) => ({
      offsetForTimestamp: async (timestamp) => {
        let low = writer.offsets().base;
        let high = writer.offsets().committed;
        while (low < high) {
          const middle = (low + high) >>> 1;
          const { bytes } = await writer.read(middle, { maxBytes: 1 });
          if (Number(Buffer.from(bytes).readBigInt64BE(35)) < timestamp) low = middle + 1;
          else high = middle;
        }
        return low < writer.offsets().committed ? low : undefined;
      },
    })),
  },
  {
    name: 'takes an append behind the seal',
    caughtBy: 'SHARD-090',
    definition: brokenWriter((writer) => ({ seal: async () => ({ end: writer.offsets().end - 1 }) })),
  },
  {
    name: 'serves readers of open segments',
    caughtBy: 'SHARD-092',
    definition: broken((engine) => ({
      openReader: async (id) => {
        await engine.recover(id, { epoch: 1000 });
        return await engine.openReader(id);
      },
    })),
  },
  {
    name: 'does not delete',
    caughtBy: 'SHARD-100',
    definition: broken(() => ({ delete: async () => {} })),
  },
  {
    name: 'repeats an id at the edge of a page',
    caughtBy: 'SHARD-102',
    definition: broken((engine) => ({
      list: async (options) => {
        const page = await engine.list(options);
        return options.after === undefined ? page : [options.after, ...page].slice(0, options.limit);
      },
    })),
  },
  {
    name: 'mixes segments up',
    caughtBy: 'SHARD-110',
    definition: broken((engine) => {
      const readers: SegmentWriter[] = [];
      return {
        create: async (id, options) => {
          const writer = await engine.create(id, options);
          readers.push(writer);
          return override(writer, {
            read: (from, read) => (readers[from % readers.length] ?? writer).read(from, read),
          });
        },
      };
    }),
  },
  {
    name: 'loses the state',
    caughtBy: 'SHARD-023',
    definition: brokenReader(() => ({ state: async () => new Uint8Array(0) })),
  },
  {
    name: 'leaves a call of flush behind',
    caughtBy: 'SHARD-094',
    definition: brokenWriter(() => ({ flush: () => Promise.reject(new Error('no')) })),
  },
  {
    name: 'keeps its name when its memory is gone',
    caughtBy: 'SHARD-025',
    definition: broken(() => ({ incarnation: 'always-the-same' })),
  },
  {
    name: 'takes less than it says',
    caughtBy: 'SHARD-120',
    definition: brokenWriter((writer) => ({
      append: async (batches, options) => {
        if (batches.some(({ length }) => length > 4_000_000)) throw new StorageError('BATCH_TOO_LARGE', 'after all');
        return await writer.append(batches, options);
      },
    })),
  },
];
