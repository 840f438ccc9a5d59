import { archivedBatches, manifestNumbers, StorageError } from '@robustmq/core';
import { formatUnit } from '@robustmq/core/config';
import { recordLines } from '../../admin/record-lines.ts';
import { headline, STORE_FLAGS, type Store, wholeFlag, withReader, withStore } from '../archive-store.ts';
import { table } from '../table.ts';
import { type Call, EXIT, type Verb } from '../verb.ts';

export const archiveLs: Verb = {
  name: 'archive ls',
  summary: 'List topics and segments of an archive, from its store alone',
  operands: '[TOPIC]',
  maxOperands: 1,
  flags: { ...STORE_FLAGS, manifests: { help: 'The numbers of all documents that say what the archive holds' } },
  run: (call) => (call.flags.has('manifests') ? listManifests(call) : listTopics(call)),
};

export const archiveCat: Verb = {
  name: 'archive cat',
  summary: 'Print the records of a topic in an archive, from its store alone',
  operands: 'TOPIC',
  minOperands: 1,
  flags: {
    ...STORE_FLAGS,
    shard: { value: 'N', help: 'Shard to read (default: all, one after the other)' },
    from: { value: 'OFFSET', help: 'Where to begin (default: the first offset that is there)' },
    limit: { value: 'N', help: 'Stop after so many records' },
    json: { help: 'One JSON object a record, with key, headers, offset, timestamp' },
  },
  notes: ['Without --json the values are printed, one a line.'],
  run: (call) =>
    withStore(call, archiveCat, async (store) => {
      const { shards, shardCount } = topicIn(store, call.operands[0] ?? '');
      const wanted = wholeFlag(call, archiveCat, 'shard');
      if (wanted !== undefined && wanted >= shardCount)
        throw new StorageError('SHARD_UNKNOWN', `the topic has ${shardCount} shards, there is no shard ${wanted}`);
      const from = wholeFlag(call, archiveCat, 'from') ?? 0;
      let left = wholeFlag(call, archiveCat, 'limit') ?? Number.POSITIVE_INFINITY;
      for (const { shard, segments, logStart } of shards) {
        if (wanted !== undefined && shard !== wanted) continue;
        const start = Math.max(from, logStart);
        for await (const chunk of archivedBatches(store.reader, segments, start)) {
          const lines = recordLines([chunk], shard, start, left);
          left -= lines.length;
          for (const line of lines) print(call, line);
          if (left <= 0 || call.io.signal.aborted) return EXIT.ok;
        }
      }
      return EXIT.ok;
    }),
};

function listManifests(call: Call): Promise<number> {
  return withReader(call, async ({ reader }) => {
    const numbers = await manifestNumbers(reader);
    call.io.out(
      call.flags.has('json') ? `${JSON.stringify(numbers)}\n` : numbers.map((number) => `${number}\n`).join(''),
    );
    return EXIT.ok;
  });
}

function listTopics(call: Call): Promise<number> {
  return withStore(call, archiveLs, async (store) => {
    const [name] = call.operands;
    const topics = name === undefined ? store.manifest.topics : [topicIn(store, name)];
    if (call.flags.has('json')) call.io.out(`${JSON.stringify({ ...store.manifest, topics })}\n`);
    else call.io.out(`${headline(store)}\n${name === undefined ? topicTable(store) : segmentTable(store, name)}`);
    return EXIT.ok;
  });
}

function topicIn({ manifest }: Store, name: string): Store['manifest']['topics'][number] {
  const topic = manifest.topics.find((candidate) => candidate.name === name);
  if (topic !== undefined) return topic;
  throw new StorageError('TOPIC_UNKNOWN', `the archive has no topic ${JSON.stringify(name)}`, {
    hint: 'archive ls shows those that are there',
  });
}

function topicTable({ manifest }: Store): string {
  const rows = manifest.topics.map(({ name, shardCount, shards }) => {
    const segments = shards.flatMap((shard) => shard.segments);
    const bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0);
    const records = segments.reduce((sum, { base, end }) => sum + end - base, 0);
    const times = segments.map(({ appendMaxTs }) => appendMaxTs);
    const until = times.length === 0 ? '' : new Date(Math.max(...times)).toISOString();
    return [name, shardCount, segments.length, records, formatUnit('bytes', bytes), until];
  });
  return table(['TOPIC', 'SHARDS', 'SEGMENTS', 'OFFSETS', 'BYTES', 'UNTIL'], rows);
}

function segmentTable(store: Store, name: string): string {
  const rows = topicIn(store, name).shards.flatMap(({ shard, segments }) =>
    segments.map(({ base, end, epoch, bytes, appendMaxTs, id, place }) => [
      shard,
      base,
      end,
      epoch,
      formatUnit('bytes', bytes),
      new Date(appendMaxTs).toISOString(),
      id,
      store.reader.objectOf(place),
    ]),
  );
  return table(['SHARD', 'BASE', 'END', 'EPOCH', 'BYTES', 'UNTIL', 'SEGMENT', 'OBJECT'], rows);
}

function print({ flags, io }: Call, line: string): void {
  if (flags.has('json')) io.out(`${line}\n`);
  else {
    // a line of our own make
    const record = JSON.parse(line) as { readonly value?: string | null; readonly valueBase64?: string };
    io.out(`${record.value ?? record.valueBase64 ?? ''}\n`);
  }
}
