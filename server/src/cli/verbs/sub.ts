import { RobustError } from '@robustmq/core';
import type { RecordJson } from '../../admin/record-json.ts';
import { TOPICS } from '../../admin/topic-routes.ts';
import { AdminClient } from '../admin-client.ts';
import { usage } from '../parse.ts';
import { ADMIN_FLAG, type Call, EXIT, type Verb } from '../verb.ts';

export const sub: Verb = {
  name: 'sub',
  summary: 'Read the records of a topic, and those to come',
  operands: 'TOPIC',
  minOperands: 1,
  flags: {
    ...ADMIN_FLAG,
    shard: { value: 'N', help: 'Shard to read (default: all)' },
    from: { value: 'WHERE', help: 'start, end (the default) or an offset' },
    count: { short: 'n', value: 'N', help: 'Stop after so many records' },
    'no-follow': { help: 'Stop at the end instead of waiting for more' },
    json: { help: 'One JSON object a record, with key, headers, offset, timestamp' },
  },
  notes: ['Without --json the values are printed, one a line. Control-C ends it.'],
  async run(call) {
    const client = new AdminClient(call);
    const [topic = ''] = call.operands;
    const base = `${TOPICS}/${encodeURIComponent(topic)}`;
    const shards = await shardsToRead(call, client, base);
    const stop = new AbortController();
    let left = whole(call, 'count') ?? Number.POSITIVE_INFINITY;
    const read = async (shard: number): Promise<void> => {
      for await (const line of client.lines(`${base}/records?${query(call, shard)}`)) {
        if (left <= 0) return;
        left--;
        print(call, line);
        if (left === 0) return stop.abort();
      }
    };
    try {
      await Promise.race([Promise.all(shards.map(read)), aborted(stop.signal)]);
    } catch (error) {
      // control-C while waiting is how a sub ends
      if (!call.io.signal.aborted) throw error;
    }
    return EXIT.ok;
  },
};

async function shardsToRead(call: Call, client: AdminClient, base: string): Promise<number[]> {
  const shard = whole(call, 'shard');
  if (shard !== undefined) return [shard];
  const { shardCount } = await client.json<{ shardCount: number }>('GET', base);
  return Array.from({ length: shardCount }, (_, index) => index);
}

function query({ flags }: Call, shard: number): string {
  const parameters = new URLSearchParams({ shard: String(shard), from: flags.get('from') ?? 'end' });
  if (!flags.has('no-follow')) parameters.set('follow', '');
  return parameters.toString();
}

function print({ flags, io }: Call, line: string): void {
  // a line of the node's stream: a record, or the error that ended it
  const record = JSON.parse(line) as RecordJson & { readonly error?: { code: string; message: string } };
  if (record.error !== undefined) throw new RobustError(record.error.code, record.error.message);
  if (flags.has('json')) io.out(`${line}\n`);
  else io.out(`${record.value ?? record.valueBase64 ?? ''}\n`);
}

function whole({ flags }: Call, name: string): number | undefined {
  const text = flags.get(name);
  if (text === undefined) return undefined;
  if (!/^[0-9]{1,15}$/.test(text)) throw usage(sub, `--${name} can't be ${JSON.stringify(text)}`);
  return Number(text);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
