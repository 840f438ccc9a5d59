import type { EngineForecast, ForecastLoad } from '@robustmq/core';
import { NO_ARCHIVE, resolveSettings, type TopicSettings } from '@robustmq/core';
import { type ConfiguredEngine, formatUnit, parseUnit } from '@robustmq/core/config';
import { configure } from '../configure.ts';
import { usage } from '../parse.ts';
import { table } from '../table.ts';
import { type Call, CONFIG_FLAGS, EXIT, JSON_FLAG, type Verb } from '../verb.ts';

const MAX_COUNT = 1_000_000;
/** Of the schema: a configuration that was read has it. */
const MANIFEST_INTERVAL_MS = 60_000;

type Load = Omit<ForecastLoad, 'segmentMs' | 'archived'>;

interface Line {
  readonly instance: string;
  readonly use: string;
  /** `written`: topics on it; `archived`: topics elsewhere, archived to it. Undefined: the engine forecasts nothing. */
  readonly how: 'written' | 'archived' | undefined;
  readonly forecast: EngineForecast | undefined;
}

/** What the settings make of it: new on the topic's own engine, old in its archive. Between `after` and `keepLocal` it lies in both. */
interface Kept {
  readonly topic: string | undefined;
  readonly localMs: number;
  readonly local: Line;
  readonly archiveAfterMs: number;
  readonly archive: Line;
  /** Of both; an engine that names no price adds nothing. */
  readonly perMonth: number;
}

export const cost: Verb = {
  name: 'cost',
  summary: 'Forecast what a load will cost on each engine instance, before it is there',
  flags: {
    ...CONFIG_FLAGS,
    load: { value: 'RATE', help: 'Bytes that all producers write, such as 2MiB/s' },
    nodes: { value: 'N', help: 'Nodes that share the load (default 1)' },
    topics: { value: 'N', help: 'Topics, of one shard each, that the load is spread over (default 1)' },
    topic: { value: 'NAME', help: 'With the settings that a topic of this name would have; default: those of no rule' },
    record: { value: 'SIZE', help: 'Size of a record (default 1KiB)' },
    retention: { value: 'TIME', help: 'How long records are kept (default: retention.ms of the topic)' },
    json: JSON_FLAG,
  },
  notes: [
    'It follows the rules that the engine itself follows, at the prices in its settings (by default list prices of AWS). Retries, failovers, what consumers read and the machines come on top.',
  ],
  async run(call) {
    const config = await configure(call);
    const name = call.flags.get('topic');
    const settings = name === undefined ? config.policy.defaults : resolveSettings(name, {}, config.policy).settings;
    const { segment, retention, archive } = settings;
    const load: Load = {
      nodes: countFlag(call, 'nodes'),
      topics: countFlag(call, 'topics'),
      bytesPerSecond: rateFlag(call),
      recordBytes: sizeFlag(call),
      segmentBytes: segment.bytes,
      retentionMs: retentionFlag(call, retention.ms),
      manifestIntervalMs: config.storage.manifestIntervalMs ?? MANIFEST_INTERVAL_MS,
    };
    const lines = config.engines.flatMap((engine) => [
      lineOf(engine, { ...load, segmentMs: segment.ms, archived: false }),
      // those that say what they hold are what one archives to
      ...(engine.definition.openArchive === undefined
        ? []
        : [lineOf(engine, { ...load, segmentMs: Math.min(segment.ms, archive.after), archived: true })]),
    ]);
    const kept = keptOf(config.engines, name, settings, load);
    if (call.flags.has('json')) call.io.out(`${JSON.stringify({ load, kept, forecasts: lines })}\n`);
    else call.io.out(textOf(load, kept, lines));
    return EXIT.ok;
  },
};

function lineOf({ name, use, definition, config }: ConfiguredEngine, load: ForecastLoad): Line {
  const forecast = definition.forecast?.(config, load);
  if (forecast === undefined) return { instance: name, use, how: undefined, forecast };
  return { instance: name, use, how: load.archived ? 'archived' : 'written', forecast };
}

/** @returns undefined where nothing gets old enough to be archived, or nothing is told to be */
function keptOf(
  engines: readonly ConfiguredEngine[],
  topic: string | undefined,
  { engine, segment, archive }: TopicSettings,
  load: Load,
): Kept | undefined {
  const own = engines.find((one) => one.name === engine);
  const shelf = engines.find((one) => one.name === archive.to);
  if (archive.to === NO_ARCHIVE || own === undefined || shelf === undefined) return undefined;
  if (load.retentionMs <= archive.after) return undefined;
  // an open segment gets no older than what the archive takes
  const segmentMs = Math.min(segment.ms, archive.after);
  const localMs = Math.min(load.retentionMs, Math.max(archive.after, archive.keepLocal));
  const local = lineOf(own, { ...load, segmentMs, retentionMs: localMs, archived: false });
  const archivedMs = load.retentionMs - archive.after;
  const archived = lineOf(shelf, { ...load, segmentMs, retentionMs: archivedMs, archived: true });
  const perMonth = pricedOf(local) + pricedOf(archived);
  return { topic, localMs, local, archiveAfterMs: archive.after, archive: archived, perMonth };
}

function textOf(load: Load, kept: Kept | undefined, lines: readonly Line[]): string {
  const { nodes, topics, bytesPerSecond, retentionMs } = load;
  const whom = `${counted(nodes, 'node')}, ${counted(topics, 'topic')}, ${formatUnit('bytes', bytesPerSecond)}/s`;
  const alone = lines.flatMap(({ instance, how, forecast }) => {
    if (forecast === undefined) return [];
    const { putsPerHour, isThrottled } = forecast;
    const wait = isThrottled ? '; its requestBudget is not enough, writers will wait' : '';
    return [
      `${instance}, ${how}: ${whom}: ${grouped(putsPerHour)} PUT/h, $${money(totalOf(forecast))} a month${wait}\n`,
    ];
  });
  const rows = [
    ...(kept === undefined
      ? []
      : [
          rowOf(kept.local, `newest ${formatUnit('ms', kept.localMs)}`),
          rowOf(kept.archive, `older than ${formatUnit('ms', kept.archiveAfterMs)}`),
        ]),
    ...lines.map((line) => rowOf(line, line.how)),
  ];
  return [
    ...(kept === undefined ? [] : [keptText(kept, whom)]),
    ...alone,
    '\n',
    table(['ENGINE', 'USE', 'HOLDS', 'PUT/H', 'GET/H', 'REQUESTS $/MONTH', 'STORAGE $/MONTH', 'TOTAL $/MONTH'], rows),
    `\nKept for ${retentionMs < 0 ? 'one year of it' : formatUnit('ms', retentionMs)}. Readers, retries, failovers and the machines come on top.\n`,
  ].join('');
}

/** What is configured, before what each engine would cost if it had all. */
function keptText({ topic, localMs, local, archiveAfterMs, archive, perMonth }: Kept, whom: string): string {
  const part = (line: Line, what: string): string => {
    const price = line.forecast === undefined ? 'not priced' : `$${money(totalOf(line.forecast))}`;
    return `${what} ${line.instance} ${price}`;
  };
  const isThrottled = [local, archive].some(({ forecast }) => forecast?.isThrottled === true);
  return [
    `As configured for ${topic === undefined ? 'topics of no rule' : `topic ${topic}`}: ${whom}: $${money(perMonth)} a month: `,
    part(local, `the newest ${formatUnit('ms', localMs)} on`),
    ', ',
    part(archive, `what is older than ${formatUnit('ms', archiveAfterMs)} in`),
    isThrottled ? '; a requestBudget is not enough, work will wait' : '',
    '\nIf all of it were on one engine:\n',
  ].join('');
}

function rowOf({ instance, use, forecast }: Line, holds: string | undefined): string[] {
  if (forecast === undefined) return [instance, use, holds ?? '', '0', '0', '0.00', 'it names no price', 'not priced'];
  return [
    instance,
    use,
    holds ?? '',
    grouped(forecast.putsPerHour),
    grouped(forecast.getsPerHour),
    money(forecast.requestsPerMonth),
    `${money(forecast.storagePerMonth)} (${(forecast.storedBytes / 2 ** 30).toFixed(1)} GiB)`,
    money(totalOf(forecast)),
  ];
}

function pricedOf({ forecast }: Line): number {
  return forecast === undefined ? 0 : totalOf(forecast);
}

function totalOf({ requestsPerMonth, storagePerMonth }: EngineForecast): number {
  return requestsPerMonth + storagePerMonth;
}

function counted(count: number, what: string): string {
  return `${grouped(count)} ${what}${count === 1 ? '' : 's'}`;
}

function grouped(count: number): string {
  return count.toLocaleString('en-US');
}

function money(amount: number): string {
  return amount.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 });
}

function countFlag(call: Call, name: string): number {
  const text = call.flags.get(name) ?? '1';
  const count = Number(text);
  if (!/^[0-9]+$/.test(text) || count < 1 || count > MAX_COUNT)
    throw usage(cost, `--${name} can't be ${JSON.stringify(text)}`, `A whole number from 1 to ${MAX_COUNT}.`);
  return count;
}

function rateFlag(call: Call): number {
  const text = call.flags.get('load');
  if (text === undefined) throw usage(cost, 'cost needs a load', 'Such as --load 2MiB/s.');
  const bytes = parseUnit('bytes', text.replace(/\/s$/, ''));
  if (bytes === undefined || bytes < 1) throw usage(cost, `--load can't be ${JSON.stringify(text)}`, 'Such as 2MiB/s.');
  return bytes;
}

function sizeFlag(call: Call): number {
  const text = call.flags.get('record') ?? '1KiB';
  const bytes = parseUnit('bytes', text);
  if (bytes === undefined || bytes < 1) throw usage(cost, `--record can't be ${JSON.stringify(text)}`, 'Such as 1KiB.');
  return bytes;
}

function retentionFlag(call: Call, fallback: number): number {
  const text = call.flags.get('retention');
  const ms = text === undefined ? fallback : parseUnit('ms', text);
  if (ms === undefined) throw usage(cost, `--retention can't be ${JSON.stringify(text)}`, 'Such as 30d.');
  // kept for ever is priced as a year
  return ms < 0 ? 365 * 86_400_000 : ms;
}
