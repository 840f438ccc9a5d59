import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '@robustmq/core';
import { type Anomaly, History } from '../crash/history.ts';
import { IdempotentLoad } from '../crash/idempotent-load.ts';
import type { Load } from '../crash/load.ts';
import { LogReader } from '../crash/log-reader.ts';
import { MqttLoad } from '../crash/mqtt-load.ts';
import { checkDeliveries } from './deliveries.ts';
import { dataFollows, type Pair } from './family.ts';
import { goneStretches, type ShardLeft } from './left.ts';
import type { Node } from './node.ts';
import type { Row } from './row.ts';
import { Subscriber } from './subscriber.ts';
import { Tail } from './tail.ts';

/** So that memory does not get far ahead of a store that is slow. */
const PAUSE_MS = 60;
/** While it waits for the others. */
const WAITING_PAUSE_MS = 500;
const MAX_RECORDS = 20;
const SETTLE_MS = 60_000;

export interface Amount {
  readonly segments: number;
  readonly bytes: number;
}

const NOTHING: Amount = { segments: 0, bytes: 0 };

/** What `topic describe` and `archive status` say of a topic of one shard, as far as it is of use here. */
export interface Described {
  readonly shards: readonly [{ readonly segments: readonly { instance: string; state: string; bytes: number }[] }];
}

/** A topic on its way from one engine to another, and who writes and reads it. */
export class PairRun {
  readonly pair: Pair;
  readonly topic: string;
  readonly shard: string;
  /** Else what is moved is first brought to `from` as an archive, and comes back from there. */
  readonly follows: boolean;
  readonly history = new History();
  topicId = '';
  /** What waits to be moved, as of the last look. */
  waiting: Amount = NOTHING;
  /** What was to be moved in all. */
  total: Amount = NOTHING;
  moved: Amount = NOTHING;
  /** It has written what it should, and writes less until the others have. */
  isAhead = false;
  kills = 0;
  wasInTheMiddle = false;
  startedAt = 0;
  seconds = 0;
  readonly #node: Node;
  readonly #reader = new LogReader(this.history);
  readonly #tail: Tail;
  readonly #subscriber: Subscriber;
  readonly #kafka: IdempotentLoad;
  readonly #loads: readonly Load[];
  readonly #stop = new AbortController();
  #writing: Promise<unknown> = Promise.resolve();
  #reading: Promise<unknown> = Promise.resolve();

  constructor(pair: Pair, node: Node, random: Random) {
    this.pair = pair;
    this.topic = `${pair.from.name}-to-${pair.to.name}`;
    this.shard = `${this.topic}/0`;
    this.follows = dataFollows(pair);
    this.#node = node;
    this.#tail = new Tail(node, this.#reader, this.topic);
    const { topic, shard } = this;
    const pauseMs = () => (this.isAhead ? WAITING_PAUSE_MS : PAUSE_MS);
    this.#subscriber = new Subscriber(`subscriber-${topic}`, topic, () => node.ports.mqtt);
    const kafka = { topic, partition: 0, port: () => node.ports.kafka, random, pauseMs, records: MAX_RECORDS };
    const mqtt = { topic, shard, port: () => node.ports.mqtt, random, pauseMs };
    this.#kafka = new IdempotentLoad(this.history, `kafka-${topic}`, kafka);
    this.#loads = [this.#kafka, new MqttLoad(this.history, `mqtt-${topic}`, mqtt)];
  }

  get name(): string {
    return `${this.pair.from.name}:${this.pair.to.name}`;
  }

  /** Creates the topic; when this returns, clients write and read. `failed` is told of what no killed node explains. */
  async start(failed: (error: unknown) => void): Promise<void> {
    const { from } = this.pair;
    const { id } = await this.#node.command<{ id: string }>('topic', 'create', this.topic, '--engine', from.name);
    this.topicId = id;
    const subscribing = this.#subscriber.run();
    await this.#subscriber.subscribed;
    this.#reading = Promise.all([subscribing, this.#tail.run()]);
    this.#writing = Promise.all(this.#loads.map((load) => load.run(this.#stop.signal)));
    for (const running of [this.#reading, this.#writing]) running.catch(failed);
  }

  /** With what the operator says, all that can be moved from here on is counted. */
  async alter(...words: string[]): Promise<void> {
    this.startedAt = performance.now();
    await this.#node.command('topic', 'alter', this.topic, ...words, '--allow-weaker-durability');
  }

  looked(waiting: Amount): void {
    this.waiting = waiting;
    if (waiting.segments > this.total.segments) this.total = waiting;
  }

  /** The share of what was to be moved that has been. */
  get share(): number {
    return this.total.segments === 0 ? 0 : 1 - this.waiting.segments / this.total.segments;
  }

  /** What the node acknowledges from now on its producer sends again after the kill: it must not be there twice. */
  beforeKill(): void {
    this.#kafka.goDeaf();
  }

  /** The node was killed, and has left this. */
  killed(left: ShardLeft, isMoving: boolean): void {
    const keepsNothing = (instance: string) => instance === 'memory';
    for (const stretch of goneStretches(left, keepsNothing)) this.history.wentWithProcess(this.shard, stretch);
    if (!isMoving) return;
    this.kills++;
    const here = this.#amountHere(left);
    this.#addMoved(minus(this.total, here));
    const hasBegun = here.segments < this.total.segments || left.copies > 0;
    this.wasInTheMiddle ||= here.segments > 0 && hasBegun;
    this.total = this.pair.from.durability === 'none' ? NOTHING : here;
    this.waiting = this.total;
  }

  /** Nothing waits any more. */
  done(): void {
    this.#addMoved(this.total);
    this.total = NOTHING;
    this.seconds = (performance.now() - this.startedAt) / 1000;
  }

  /** Writers stop, and all that was acknowledged is there; then everything from the start once more. The node is up. */
  async finish(): Promise<void> {
    for (const load of this.#loads) load.stop();
    const settled = await Promise.race([this.#writing.then(() => true), sleep(SETTLE_MS, false, { ref: false })]);
    if (!settled)
      throw new Error(`${this.name}: after ${SETTLE_MS} ms some sends are not acknowledged: ${this.#said()}`);
    const outstanding = this.history.outstanding();
    await this.#tail.stop();
    this.history.expectSeen(outstanding);
    await this.#subscriberAtEnd();
    await this.readAgain();
  }

  /** All that was ever read is there. */
  readAgain(): Promise<void> {
    return this.#reader.readAgain(this.#node.ports.kafka, this.topic, 1);
  }

  abort(): void {
    this.#stop.abort();
    this.#subscriber.stop();
  }

  async row(): Promise<Row> {
    this.history.checkLogs();
    const log = {
      records: this.history.log(this.shard),
      isGone: (offset: number) => this.history.goneUntil(this.shard, offset) !== undefined,
      hasGone: this.history.hasGone(this.shard),
    };
    const deliveries = checkDeliveries(log, this.#subscriber.deliveries);
    const { violations, counts } = this.history;
    const count = (...wanted: Anomaly[]) => violations.filter(({ anomaly }) => wanted.includes(anomaly)).length;
    return {
      from: this.pair.from.name,
      to: this.pair.to.name,
      segments: this.moved.segments,
      bytes: this.moved.bytes,
      acknowledged: counts.acknowledged,
      seconds: this.seconds,
      kills: this.kills,
      wasInTheMiddle: this.wasInTheMiddle,
      lost: count('lost', 'gap'),
      repeated: count('duplicated'),
      renumbered: count('renumbered'),
      other: count('reordered', 'phantom', 'changed') + deliveries.length,
      lostWithProcess: counts.goneWithProcess,
      details: [...violations.map(({ anomaly, detail }) => `${anomaly}: ${detail}`), ...deliveries],
    };
  }

  /** The subscriber has had the last record; if it never gets it, the check of what it got tells what is missing. */
  async #subscriberAtEnd(): Promise<void> {
    const log = this.history.log(this.shard);
    const last = log.get(Math.max(...log.keys()));
    const until = performance.now() + 10_000;
    const has = () =>
      this.#subscriber.last?.writer === last?.writer && this.#subscriber.last?.sequence === last?.sequence;
    while (!has() && performance.now() < until) await sleep(20);
    this.#subscriber.stop();
    if (!has()) throw new Error(`${this.name}: the subscriber has not had ${last?.writer} ${last?.sequence}`);
  }

  #amountHere({ rows }: ShardLeft): Amount {
    const here = rows.filter(
      (row) =>
        row.state === 'SEALED' && row.instance === this.pair.from.name && (this.follows || row.archived === true),
    );
    return { segments: here.length, bytes: here.reduce((sum, { bytes }) => sum + bytes, 0) };
  }

  #addMoved({ segments, bytes }: Amount): void {
    this.moved = { segments: this.moved.segments + segments, bytes: this.moved.bytes + bytes };
  }

  #said(): string {
    return this.#loads.map(({ name, errors }) => `${name} ${JSON.stringify(Object.fromEntries(errors))}`).join(', ');
  }
}

function minus(a: Amount, b: Amount): Amount {
  return { segments: Math.max(0, a.segments - b.segments), bytes: Math.max(0, a.bytes - b.bytes) };
}
