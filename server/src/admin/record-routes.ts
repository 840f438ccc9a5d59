import { once } from 'node:events';
import { shardOf } from '@robustmq/broker-common';
import { encodeBatch, type RecordToWrite, type Shard, StorageError, type Topic } from '@robustmq/core';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { allow } from './allow.ts';
import { invalidRequest } from './errors.ts';
import { fromJson, PUBLISH, type RecordJson } from './record-json.ts';
import { recordLines } from './record-lines.ts';
import type { AdminContext } from './server.ts';
import { checkBody, findTopic, TOPICS } from './topic-routes.ts';

type ByName = { Params: { name: string } };

interface ReadQuery {
  readonly shard?: string;
  /** `start`, `end`, or an offset. */
  readonly from?: string;
  /** At most so many records. */
  readonly limit?: string;
  /** Present: go on with what comes. */
  readonly follow?: string;
}

const READ_BYTES = 1024 * 1024;
/** A stream that waits looks this often whether its client is still there. */
const FOLLOW_WAIT_MS = 10_000;

/** Publishing and reading for people and scripts; programs use MQTT or Kafka. */
export function recordRoutes(app: FastifyInstance, context: AdminContext): void {
  app.post<ByName>(`${TOPICS}/:name/records`, async (request) => {
    const { records } = checkBody<{ records: readonly RecordJson[] }>(request.body, PUBLISH);
    allow(context.authorizer, 'write', request.params.name);
    const storage = context.storage();
    const topic = await storage.ensureTopic(request.params.name);
    return { written: await append(context, topic, records) };
  });

  app.get<ByName & { Querystring: ReadQuery }>(`${TOPICS}/:name/records`, async (request, reply) => {
    allow(context.authorizer, 'read', request.params.name);
    const topic = findTopic(context, request.params.name);
    const { shard: index = '0', from = 'start', limit, follow } = request.query;
    const shard = context.storage().shard(topic, count('shard', index));
    const { logStart, committed } = await shard.offsets();
    const start = from === 'start' ? logStart : from === 'end' ? committed : count('from', from);
    const most = limit === undefined ? Number.POSITIVE_INFINITY : count('limit', limit);
    // an offset out of range is said before the stream begins
    await shard.read(start, { maxBytes: 1 });
    await stream(reply, context, shard, { start, most, follow: follow !== undefined });
    return reply;
  });
}

let turn = 0;

interface Written {
  readonly shard: number;
  readonly base: number;
  readonly next: number;
}

/** One batch a shard; each is atomic alone. */
async function append(context: AdminContext, topic: Topic, records: readonly RecordJson[]): Promise<Written[]> {
  const now = context.clock.wall();
  turn = (turn + 1) % 0x7fffffff;
  const byShard = new Map<number, RecordToWrite[]>();
  for (const record of records) {
    const written = fromJson(record, now);
    // without a key any shard will do: all of a request go to one, the next request to the next
    const index = record.shard ?? (written.key === null ? turn % topic.shards : shardOf(written.key, topic.shards));
    const batch = byShard.get(index);
    if (batch === undefined) byShard.set(index, [written]);
    else batch.push(written);
  }
  const shards = [...byShard].map(([index, batch]) => ({ shard: context.storage().shard(topic, index), batch }));
  return Promise.all(
    shards.map(async ({ shard, batch }) => {
      const bytes = encodeBatch(batch);
      for (let room = shard.ready(bytes.length); room !== undefined; room = shard.ready(bytes.length)) await room;
      const { base, next } = await shard.append([bytes]);
      return { shard: shard.index, base, next };
    }),
  );
}

/** One JSON object a line. Ends at the limit, without `follow` at the end of the shard, or when either side closes. */
async function stream(
  reply: FastifyReply,
  context: AdminContext,
  shard: Shard,
  options: { readonly start: number; readonly most: number; readonly follow: boolean },
): Promise<void> {
  reply.hijack();
  const out = reply.raw;
  out.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
  out.flushHeaders();
  const gone = new AbortController();
  out.on('close', () => gone.abort());
  const signal = AbortSignal.any([gone.signal, context.signal]);
  const { committed: end } = await shard.offsets();
  let at = options.start;
  let left = options.most;
  try {
    while (!signal.aborted && left > 0 && (options.follow || at < end)) {
      const read = await shard.read(at, {
        maxBytes: READ_BYTES,
        maxWaitMs: options.follow ? FOLLOW_WAIT_MS : 0,
        signal,
      });
      const lines = recordLines(read.chunks, shard.index, at, left);
      left -= lines.length;
      if (lines.length > 0 && !out.write(`${lines.join('\n')}\n`)) await once(out, 'drain', { signal });
      if (read.next === at && !options.follow) break;
      at = read.next;
    }
  } catch (error) {
    if (!signal.aborted) {
      const { code, message } =
        error instanceof StorageError ? (error as StorageError) : { code: 'INTERNAL', message: String(error) };
      out.write(`${JSON.stringify({ error: { code, message } })}\n`);
    }
  }
  out.end();
}

function count(name: string, text: string): number {
  const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value)) return value;
  throw invalidRequest(`${name} must be a whole number, not ${JSON.stringify(text.slice(0, 40))}`);
}
