import { didYouMean, formatUnit, type Json, parseUnit } from '@robustmq/core/config';
import { TOPICS } from '../../admin/topic-routes.ts';
import { AdminClient } from '../admin-client.ts';
import { usage } from '../parse.ts';
import { table } from '../table.ts';
import { ADMIN_FLAG, type Call, EXIT, type Flag, JSON_FLAG, type Verb } from '../verb.ts';

/** Flags for topic settings, and the setting each stands for. */
const SETTING_FLAGS: Readonly<Record<string, Flag & { readonly path: readonly string[] }>> = {
  engine: { value: 'INSTANCE', help: 'Engine instance for new segments', path: ['engine'] },
  shards: { value: 'N', help: 'Number of shards (Kafka partitions); only at creation', path: ['shards'] },
  retention: { value: 'TIME', help: 'How long records are kept, such as 7d, or never', path: ['retention', 'ms'] },
  'retention-bytes': {
    value: 'SIZE',
    help: 'Bytes a shard keeps, such as 10GiB, or unlimited',
    path: ['retention', 'bytes'],
  },
  'segment-bytes': { value: 'SIZE', help: 'Size at which a segment is sealed', path: ['segment', 'bytes'] },
  'segment-time': { value: 'TIME', help: 'Age at which a segment is sealed', path: ['segment', 'ms'] },
  cleanup: { value: 'POLICY', help: 'delete, compact, or compact,delete', path: ['cleanup'] },
  'archive-to': {
    value: 'INSTANCE',
    help: 'Where segments go when they are no longer new; none: back to the engine',
    path: ['archive', 'to'],
  },
  'archive-after': { value: 'TIME', help: 'How old they are then, such as 10m', path: ['archive', 'after'] },
  'keep-local': {
    value: 'TIME',
    help: 'How old they are when the copy on the engine goes, such as 1h',
    path: ['archive', 'keepLocal'],
  },
  'max-message-bytes': { value: 'SIZE', help: 'Largest batch a client may send', path: ['maxMessageBytes'] },
};

const TIMES: readonly string[] = ['retention', 'segment-time', 'archive-after', 'keep-local'];

/** Those of a topic that is there: its number of shards stays. */
const { shards: _fixed, ...ALTER_FLAGS } = SETTING_FLAGS;

/** What `--reset` takes. */
const RESETTABLE = Object.values(ALTER_FLAGS)
  .map(({ path }) => path.join('.'))
  .concat('deleteRetentionMs', 'engineSettings');

const RESET: Flag = {
  value: 'SETTING',
  repeatable: true,
  help: 'Take a setting off the topic: rule or default hold again',
};
/** What all verbs but `topic ls` have. */
const ON_A_TOPIC = { operands: 'TOPIC', minOperands: 1 } as const;
const DRY_RUN: Flag = { help: 'Check everything, change nothing' };

interface TopicJson {
  readonly name: string;
  readonly id: string;
  readonly shardCount: number;
  readonly internal: boolean;
  readonly settings: { readonly [name: string]: Json };
  readonly origins: Readonly<Record<string, string>>;
}

interface TopicWithShards extends TopicJson {
  readonly shards: readonly ShardJson[];
}

interface ShardJson {
  readonly index: number;
  readonly owner: number;
  readonly unavailable?: { readonly code: string; readonly message: string };
  readonly offsets?: { readonly logStart: number; readonly committed: number; readonly epoch: number };
  readonly segments: readonly {
    readonly id: string;
    readonly instance: string;
    readonly state: string;
    readonly base: number;
    readonly end?: number;
    readonly epoch: number;
    readonly bytes: number;
    readonly keptUntil?: number;
  }[];
}

export const topicLs: Verb = {
  name: 'topic ls',
  summary: 'List topics',
  flags: { ...ADMIN_FLAG, internal: { help: "Also the system's own" }, json: JSON_FLAG },
  async run(call) {
    const query = call.flags.has('internal') ? '?internal' : '';
    const { topics } = await new AdminClient(call).json<{ topics: TopicJson[] }>('GET', `${TOPICS}${query}`);
    const rows = topics.map(({ name, shardCount, settings, origins }) => [
      name,
      shardCount,
      settings.engine,
      origins.engine ?? '',
    ]);
    return answer(call, topics, () =>
      rows.length > 0
        ? table(['TOPIC', 'SHARDS', 'ENGINE', 'FROM'], rows)
        : 'No topics yet. They come when clients use them, or by: robust-server topic create NAME\n',
    );
  },
};

export const topicCreate: Verb = {
  ...ON_A_TOPIC,
  name: 'topic create',
  summary: 'Create a topic',
  flags: { ...ADMIN_FLAG, ...SETTING_FLAGS, 'dry-run': DRY_RUN, json: JSON_FLAG },
  notes: ['What is set here is stored on the topic and wins over the rules of the configuration.'],
  async run(call) {
    const [name] = call.operands;
    const body = { name, settings: settingsOf(call, topicCreate), validateOnly: call.flags.has('dry-run') };
    const topic = await new AdminClient(call).json<TopicJson>('POST', TOPICS, body);
    return tell(call, topic, 'created');
  },
};

export const topicAlter: Verb = {
  ...ON_A_TOPIC,
  name: 'topic alter',
  summary: 'Change settings of a live topic; a new engine takes the next segments while clients go on',
  flags: {
    ...ADMIN_FLAG,
    ...ALTER_FLAGS,
    reset: RESET,
    'allow-weaker-durability': { help: 'Needed for an engine that promises less' },
    'dry-run': DRY_RUN,
    json: JSON_FLAG,
  },
  async run(call) {
    const settings = settingsOf(call, topicAlter);
    if (Object.keys(settings).length === 0) throw usage(topicAlter, 'topic alter needs a setting to change');
    const topic = await new AdminClient(call).json<TopicJson>('PATCH', topicPath(call), {
      settings,
      allowWeakerDurability: call.flags.has('allow-weaker-durability'),
      validateOnly: call.flags.has('dry-run'),
    });
    return tell(call, topic, 'altered');
  },
};

export const topicDescribe: Verb = {
  ...ON_A_TOPIC,
  name: 'topic describe',
  summary: 'Show a topic: each setting and where it came from, shards, segments',
  flags: { ...ADMIN_FLAG, json: JSON_FLAG },
  async run(call) {
    const topic = await new AdminClient(call).json<TopicWithShards>('GET', topicPath(call));
    return answer(call, topic, () => describe(topic));
  },
};

export const topicDelete: Verb = {
  ...ON_A_TOPIC,
  name: 'topic delete',
  summary: 'Delete a topic with all its records',
  flags: { ...ADMIN_FLAG, json: JSON_FLAG },
  async run(call) {
    await new AdminClient(call).json('DELETE', topicPath(call));
    const [name] = call.operands;
    return answer(call, { deleted: name }, () => `Topic ${name} deleted.\n`);
  },
};

export const topicRecover: Verb = {
  ...ON_A_TOPIC,
  name: 'topic recover',
  summary: "Serve a topic again whose data is lost or damaged, giving up what can't be read",
  flags: { ...ADMIN_FLAG, 'accept-loss': { help: 'Needed: say that the loss is accepted' }, json: JSON_FLAG },
  notes: ['First try to bring the medium back: what is given up is gone. Its offsets are never used again.'],
  async run(call) {
    if (!call.flags.has('accept-loss'))
      throw usage(topicRecover, 'topic recover gives up data', 'Say so with --accept-loss.');
    const path = `${topicPath(call)}/recover`;
    const { lost } = await new AdminClient(call).json<{ lost: Lost[] }>('POST', path, { acceptLoss: true });
    const rows = lost.map(({ shard, base, end }) => [shard, base, end]);
    return answer(call, lost, () =>
      rows.length > 0 ? table(['SHARD', 'LOST FROM', 'TO'], rows) : 'Nothing had to be given up.\n',
    );
  },
};

interface Lost {
  readonly shard: number;
  readonly base: number;
  readonly end: number;
}

function topicPath(call: Call): string {
  return `${TOPICS}/${encodeURIComponent(call.operands[0] ?? '')}`;
}

function settingsOf(call: Call, verb: Verb): Record<string, Json> {
  const settings: Record<string, Json> = {};
  for (const [flag, { path }] of Object.entries(SETTING_FLAGS)) {
    const text = call.flags.get(flag);
    if (text !== undefined) place(settings, path, settingFrom(flag, text, verb));
  }
  for (const path of call.flags.all('reset')) {
    if (!RESETTABLE.includes(path))
      throw usage(verb, `--reset can't be ${JSON.stringify(path)}`, didYouMean(path, RESETTABLE));
    place(settings, path.split('.'), null);
  }
  return settings;
}

function settingFrom(flag: string, text: string, verb: Verb): Json {
  if (flag === 'engine' || flag === 'cleanup' || flag === 'archive-to') return text;
  const unit = TIMES.includes(flag) ? 'ms' : 'bytes';
  const value = flag === 'shards' ? (/^[0-9]+$/.test(text) ? Number(text) : undefined) : parseUnit(unit, text);
  if (value === undefined) throw usage(verb, `--${flag} can't be ${JSON.stringify(text)}`);
  return value;
}

function place(settings: Record<string, Json>, path: readonly string[], value: Json): void {
  const [first = '', second] = path;
  if (second === undefined) settings[first] = value;
  // a section that an earlier flag may have begun
  else settings[first] = { ...((settings[first] ?? {}) as Record<string, Json>), [second]: value };
}

/** Says what was done, or would be with `--dry-run`. */
function tell(call: Call, topic: TopicJson, done: string): number {
  const could = call.flags.has('dry-run') ? 'could be ' : '';
  const shards = `${topic.shardCount} ${topic.shardCount === 1 ? 'shard' : 'shards'}`;
  return answer(
    call,
    topic,
    () => `Topic ${topic.name} ${could}${done}: ${shards} on engine ${String(topic.settings.engine)}.\n`,
  );
}

/** As data with `--json`, for people otherwise. */
function answer(call: Call, data: unknown, text: () => string): number {
  call.io.out(call.flags.has('json') ? `${JSON.stringify(data)}\n` : text());
  return EXIT.ok;
}

function describe(topic: TopicWithShards): string {
  const settings = flatten(topic.settings).map(([path, value]) => [
    path,
    pretty(path, value),
    topic.origins[path] ?? '',
  ]);
  const segments = topic.shards.flatMap((shard) =>
    shard.segments.map((segment) => [
      shard.index,
      segment.base,
      segment.end ?? '',
      segment.keptUntil === undefined ? segment.state : `COPY until ${new Date(segment.keptUntil).toISOString()}`,
      segment.instance,
      segment.epoch,
      segment.bytes,
      segment.id,
    ]),
  );
  const shards = topic.shards.map(({ index, owner, offsets, unavailable }) => [
    index,
    owner,
    offsets?.logStart ?? '?',
    offsets?.committed ?? '?',
    offsets?.epoch ?? '?',
    unavailable === undefined ? 'ok' : `${unavailable.code}: ${unavailable.message}`,
  ]);
  return [
    `Topic ${topic.name}, id ${topic.id}\n`,
    table(['SETTING', 'VALUE', 'FROM'], settings),
    table(['SHARD', 'OWNER', 'START', 'END', 'EPOCH', 'STATE'], shards),
    table(['SHARD', 'BASE', 'END', 'STATE', 'ENGINE', 'EPOCH', 'BYTES', 'SEGMENT'], segments),
  ].join('\n');
}

function flatten(settings: Readonly<Record<string, Json>>, prefix = ''): [string, Json][] {
  return Object.entries(settings).flatMap(([key, value]): [string, Json][] =>
    typeof value === 'object' && value !== null && !Array.isArray(value) && key !== 'engineSettings'
      ? flatten(value, `${prefix}${key}.`)
      : [[prefix + key, value]],
  );
}

function pretty(path: string, value: Json): string {
  if (typeof value !== 'number') return typeof value === 'string' ? value : JSON.stringify(value);
  if (/(^|\.)ms$|Ms$|^archive\./.test(path)) return formatUnit('ms', value);
  return /(^|\.)bytes$|Bytes$/.test(path) ? formatUnit('bytes', value) : String(value);
}
