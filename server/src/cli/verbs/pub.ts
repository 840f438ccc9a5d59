import type { RecordJson } from '../../admin/record-json.ts';
import { TOPICS } from '../../admin/topic-routes.ts';
import { AdminClient } from '../admin-client.ts';
import { usage } from '../parse.ts';
import { ADMIN_FLAG, type Call, EXIT, JSON_FLAG, type Verb } from '../verb.ts';

/** Records of one request when they come from standard input. */
const PER_REQUEST = 500;
/** Characters of one request, well below what the node takes. */
const CHARACTERS = 1024 * 1024;

export const pub: Verb = {
  name: 'pub',
  summary: 'Publish records, each acknowledged when it is as durable as the topic promises',
  operands: 'TOPIC [VALUE]',
  minOperands: 1,
  maxOperands: 2,
  flags: {
    ...ADMIN_FLAG,
    key: { short: 'k', value: 'KEY', help: 'Key of the record' },
    header: { value: 'NAME=VALUE', repeatable: true, help: 'A header; may be repeated' },
    shard: { value: 'N', help: 'Shard; without it the key chooses, as with Kafka clients' },
    json: JSON_FLAG,
  },
  notes: ['Without VALUE each line of standard input is one record.'],
  async run(call) {
    const client = new AdminClient(call);
    const [topic = '', value] = call.operands;
    const template = recordOf(call);
    const path = `${TOPICS}/${encodeURIComponent(topic)}/records`;
    let published = 0;
    const send = async (values: readonly string[]): Promise<void> => {
      const records = values.map((each): RecordJson => ({ ...template, value: each }));
      const { written } = await client.json<{ written: Written[] }>('POST', path, { records });
      published += records.length;
      if (call.flags.has('json')) for (const each of written) call.io.out(`${JSON.stringify(each)}\n`);
    };
    if (value !== undefined) await send([value]);
    else for await (const values of lineGroups(call.io.stdin)) await send(values);
    if (!call.flags.has('json'))
      call.io.out(`Published ${published} ${published === 1 ? 'record' : 'records'} to ${topic}.\n`);
    return EXIT.ok;
  },
};

interface Written {
  readonly shard: number;
  readonly base: number;
  readonly next: number;
}

function recordOf({ flags }: Call): RecordJson {
  const key = flags.get('key');
  const shard = flags.get('shard');
  if (shard !== undefined && !/^[0-9]+$/.test(shard)) throw usage(pub, `--shard can't be ${JSON.stringify(shard)}`);
  const headers = flags.all('header').map((text) => {
    const equals = text.indexOf('=');
    if (equals <= 0) throw usage(pub, `--header can't be ${JSON.stringify(text)}`, 'It looks like NAME=VALUE.');
    return { key: text.slice(0, equals), value: text.slice(equals + 1) };
  });
  return {
    ...(key === undefined ? {} : { key }),
    ...(shard === undefined ? {} : { shard: Number(shard) }),
    ...(headers.length === 0 ? {} : { headers }),
  };
}

/** Lines as they come, several to a request when there are many. */
async function* lineGroups(input: AsyncIterable<Uint8Array>): AsyncIterable<string[]> {
  const decoder = new TextDecoder();
  let rest = '';
  let group: string[] = [];
  let characters = 0;
  for await (const chunk of input) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      group.push(line);
      characters += line.length;
      if (group.length < PER_REQUEST && characters < CHARACTERS) continue;
      yield group;
      group = [];
      characters = 0;
    }
    if (group.length > 0) yield group;
    group = [];
    characters = 0;
  }
  if (rest !== '') yield [rest];
}
