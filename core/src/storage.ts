import {
  type AlterTopicOptions,
  type CreateTopicOptions,
  NO_ARCHIVE,
  type Shard,
  type Topic,
  type TopicEvent,
  type TopicOverrides,
} from './adapter.ts';

import { Manifests } from './archive/manifests.ts';
import { type ArchiveStatus, archiveStatusOf, watchArchives } from './archive/status.ts';
import { isStorageError, messageWithHint, StorageError } from './errors.ts';
import { Loop } from './loop.ts';
import { liveKey } from './shard/chain.ts';
import { ColdReads } from './shard/cold-reads.ts';
import { storageCounters } from './shard/counters.ts';
import { DEFAULT_TUNING, instanceOf, pause, type ShardEnvironment } from './shard/environment.ts';
import { giveUpUnreadable } from './shard/give-up.ts';
import { ShardLog } from './shard/log.ts';
import { relieve } from './shard/pressure.ts';
import { ReaderCache } from './shard/reader-cache.ts';
import { LogShard } from './shard/shard.ts';
import { upkeep } from './shard/upkeep.ts';
import type { Storage, StorageOptions, StorageProblem, StorageStatus } from './storage-options.ts';
import { loopUtilization } from './system.ts';
import type { TopicPolicy } from './topics/policy.ts';
import { ProducerIds } from './topics/producer-ids.ts';
import { mergeOverrides, resolveSettings } from './topics/settings.ts';
import { sweepDeletedTopics, unopenedInNeed } from './topics/sweep.ts';
import { deletingKey, type TopicRow, TopicTable, topicCodec, topicKey } from './topics/table.ts';
import { checkAlterable, checkDurability, checkSettings, checkTopicName } from './topics/validate.ts';
import { Deadlines } from './wait/deadlines.ts';
import { Waiter } from './wait/waiter.ts';

/** How long a close waits for what runs in the background. */
const CLOSE_PATIENCE_MS = 1000;
/** Requests that an engine may make to its store in one round of housekeeping. */
const MAINTENANCE_REQUESTS = 200;
/** How often shards that nobody has used yet are looked through for work. */
const SCAN_INTERVAL_MS: number = 10 * 60 * 1000;

/** Opens the storage layer of a node: topics from Meta, shards when they are first used. @throws CORRUPT, META_UNAVAILABLE, FORMAT_TOO_NEW */
export async function openStorage(options: StorageOptions): Promise<Storage> {
  const storage = new NodeStorage(options);
  await storage.start();
  return storage;
}

class NodeStorage implements Storage {
  readonly #environment: ShardEnvironment;
  readonly #policy: TopicPolicy;
  readonly #stopping = new AbortController();
  readonly #table: TopicTable;
  readonly #producerIds: ProducerIds;
  /** By topic id; created when first asked for. */
  readonly #shards = new Map<string, LogShard[]>();
  readonly #manifests: Manifests;
  readonly #loops: readonly Loop[];
  #draining = false;
  /** Aborted as soon as the node begins to stop: housekeeping of engines is given up, it goes on after the next start. */
  readonly #leaving = new AbortController();

  constructor(options: StorageOptions) {
    const { policy, tuning, busy = loopUtilization(), ...rest } = options;
    this.#policy = policy;
    const counters = storageCounters(options.metrics);
    this.#environment = {
      ...rest,
      tuning: { ...DEFAULT_TUNING, ...tuning },
      deadlines: new Deadlines(options.clock),
      readers: new ReaderCache(),
      coldReads: new ColdReads({
        clock: options.clock,
        busy,
        appends: counters.appendedBatches,
        held: counters.heldReads,
      }),
      counters,
      signal: this.#stopping.signal,
      mayDelete: (row) => this.#manifests.mayDelete(row),
    };
    this.#table = new TopicTable(options.meta, policy, options.logger, () => pause(this.#environment, 1000));
    this.#producerIds = new ProducerIds(options.meta, options.random);
    const { maintenanceIntervalMs, manifestIntervalMs } = this.#environment.tuning;
    this.#manifests = new Manifests({
      ...options,
      cluster: options.clusterId ?? '',
      table: this.#table,
      intervalMs: manifestIntervalMs,
      pause: () => pause(this.#environment, 1000),
    });
    const { clock, logger } = options;
    const loop = (name: string, intervalMs: number, round: () => Promise<void>) =>
      new Loop({ name, intervalMs, clock, logger, round });
    this.#loops = [
      loop('upkeep', this.#environment.tuning.maintenanceIntervalMs, () => this.#upkeep()),
      loop('overdue', 1000, () => this.#giveUpOverdue()),
      loop('scan', SCAN_INTERVAL_MS, () => this.#scan()),
      loop('moves', this.#environment.tuning.maintenanceIntervalMs, () => this.#moves()),
      loop('engines', this.#environment.tuning.maintenanceIntervalMs, () => this.#maintainEngines()),
      // a loop each: a store that does not answer keeps no other waiting
      ...this.#manifests.instances.map((instance) =>
        loop(`manifests ${instance}`, Math.min(maintenanceIntervalMs, manifestIntervalMs), () =>
          this.#manifests.round(instance),
        ),
      ),
      loop('pressure', 1000, () => relieve(this.#environment, this.#logs())),
    ];
    this.#watchMetrics();
  }

  async start(): Promise<void> {
    await this.#table.start(this.#stopping.signal);
    await this.#manifests.start(this.#stopping.signal);
    this.#table.listen((event) => this.#follow(event));
    for (const instance of this.#environment.engines.values())
      instance.onHealth(({ status }) => {
        this.#loop('pressure')?.run();
        if (status === 'ok') this.#wellAgain(instance.name);
      });
    for (const loop of this.#loops) loop.run();
  }

  // ---- topics

  async createTopic(name: string, options: CreateTopicOptions = {}): Promise<Topic> {
    checkTopicName(name);
    if (name.startsWith('__'))
      throw new StorageError('TOPIC_INVALID', `${name}: names that begin with __ are the system's own`);
    const overrides = mergeOverrides({}, options.overrides ?? {});
    const { settings, origins } = resolveSettings(name, overrides, this.#policy);
    checkSettings(settings, this.#environment.engines);
    if (this.#table.get(name) !== undefined) throw new StorageError('TOPIC_EXISTS', `topic ${name} exists already`);
    const row: TopicRow = { id: this.#environment.random.uuid(), name, shards: settings.shards, overrides };
    if (options.validateOnly)
      return { name, id: row.id, shards: row.shards, internal: name.startsWith('__'), settings, origins };
    const result = await this.#environment.meta.commit({
      id: this.#environment.random.uuid(),
      guards: [{ key: topicKey(name), revision: 0 }],
      puts: [
        { key: topicKey(name), value: topicCodec.encode(row) },
        { key: liveKey(row.id), value: new Uint8Array(0) },
      ],
    });
    if (!result.ok) throw new StorageError('TOPIC_EXISTS', `topic ${name} exists already`);
    return this.#table.put(row, result.revision);
  }

  async ensureTopic(name: string): Promise<Topic> {
    const known = this.#table.get(name);
    if (known !== undefined) return known.topic;
    if (!this.#policy.autoCreate) throw unknownTopic(name, 'Create it first: robust-server topic create');
    try {
      return await this.createTopic(name);
    } catch (error) {
      if (!isStorageError(error, 'TOPIC_EXISTS')) throw error;
      // somebody else was faster: the watch has it, or will have it in a moment
      const row = await this.#environment.meta.get(topicKey(name));
      if (row === undefined) throw error;
      return this.#table.put(topicCodec.decode(row.value, row.key), row.revision);
    }
  }

  async alterTopic(name: string, changes: TopicOverrides, options: AlterTopicOptions = {}): Promise<Topic> {
    const known = this.#table.get(name);
    if (known === undefined) throw unknownTopic(name);
    checkAlterable(changes, known.row.shards);
    const { shards: _fixed, ...alterable } = changes;
    const row: TopicRow = { ...known.row, overrides: mergeOverrides(known.row.overrides, alterable) };
    const { settings, origins } = resolveSettings(name, row.overrides, this.#policy);
    checkSettings({ ...settings, shards: row.shards }, this.#environment.engines);
    const before = this.#environment.engines.get(known.topic.settings.engine);
    const allowed = options.allowWeakerDurability ?? false;
    checkDurability(before, instanceOf(this.#environment, settings.engine), allowed);
    const { to } = settings.archive;
    const { to: toBefore } = known.topic.settings.archive;
    if (to !== NO_ARCHIVE && to !== toBefore)
      checkDurability(instanceOf(this.#environment, settings.engine), instanceOf(this.#environment, to), allowed);
    // what is in the archive comes out of it: to the next one, or back to the engine
    if (toBefore !== NO_ARCHIVE && to !== toBefore) {
      const home = instanceOf(this.#environment, to === NO_ARCHIVE ? settings.engine : to);
      checkDurability(this.#environment.engines.get(toBefore), home, allowed);
    }
    if (options.validateOnly) return { ...known.topic, settings: { ...settings, shards: row.shards }, origins };
    const result = await this.#environment.meta.commit({
      id: this.#environment.random.uuid(),
      guards: [{ key: topicKey(name), revision: known.revision }],
      puts: [{ key: topicKey(name), value: topicCodec.encode(row) }],
    });
    if (!result.ok)
      throw new StorageError('META_GUARD_FAILED', `topic ${name} was changed by somebody else at the same time`, {
        retryable: true,
      });
    const topic = this.#table.put(row, result.revision);
    // the change is in force when this returns: whatever is appended from now on follows it
    await Promise.all((this.#shards.get(row.id) ?? []).map((shard) => shard.log.retopic(topic)));
    // shards that nobody has used yet may have segments that belong elsewhere now
    this.#loop('scan')?.run();
    return topic;
  }

  async deleteTopic(name: string): Promise<void> {
    const known = this.#table.get(name);
    if (known === undefined) throw unknownTopic(name);
    const { row } = known;
    const result = await this.#environment.meta.commit({
      id: this.#environment.random.uuid(),
      guards: [{ key: topicKey(name), revision: known.revision }],
      puts: [{ key: deletingKey(row.id), value: topicCodec.encode(row) }],
      deletes: [topicKey(name), liveKey(row.id)],
    });
    if (!result.ok)
      throw new StorageError('META_GUARD_FAILED', `topic ${name} was changed by somebody else at the same time`, {
        retryable: true,
      });
    this.#table.remove(name, result.revision);
    this.#loops[0]?.run();
  }

  topic(name: string): Topic | undefined {
    return this.#table.get(name)?.topic;
  }

  topicById(id: string): Topic | undefined {
    return this.#table.byId(id)?.topic;
  }

  topics(): Iterable<Topic> {
    return this.#table.all();
  }

  async *watch(signal: AbortSignal): AsyncGenerator<TopicEvent> {
    const events: TopicEvent[] = [...this.#table.all()].map((topic) => ({ type: 'created', topic }));
    let wake: (() => void) | undefined;
    const stop = this.#table.listen((event) => {
      events.push(event);
      wake?.();
    });
    const onAbort = () => wake?.();
    signal.addEventListener('abort', onAbort);
    this.#stopping.signal.addEventListener('abort', onAbort);
    try {
      while (!signal.aborted && !this.#stopping.signal.aborted) {
        const event = events.shift();
        if (event !== undefined) yield event;
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
    } finally {
      stop();
      signal.removeEventListener('abort', onAbort);
      this.#stopping.signal.removeEventListener('abort', onAbort);
    }
  }

  // ---- shards

  shard(topic: Topic, index: number): Shard {
    if (!Number.isSafeInteger(index) || index < 0 || index >= topic.shards)
      throw new StorageError(
        'SHARD_UNKNOWN',
        `topic ${topic.name} has ${topic.shards} shards, there is no shard ${index}`,
      );
    const current = this.#table.byId(topic.id)?.topic;
    if (current === undefined) throw unknownTopic(topic.name);
    let shards = this.#shards.get(topic.id);
    if (shards === undefined) {
      shards = [];
      this.#shards.set(topic.id, shards);
    }
    let shard = shards[index];
    if (shard === undefined) {
      shard = new LogShard(new ShardLog(this.#environment, current, index));
      shards[index] = shard;
    }
    return shard;
  }

  shards(topic: Topic): readonly Shard[] {
    return Array.from({ length: topic.shards }, (_, index) => this.shard(topic, index));
  }

  allocateProducerId(): Promise<number> {
    return this.#producerIds.next();
  }

  async wait(
    positions: readonly { readonly shard: Shard; readonly from: number }[],
    options: { readonly maxWaitMs: number; readonly signal?: AbortSignal },
  ): Promise<void> {
    const logs = positions.map(({ shard, from }) => ({ log: (shard as LogShard).log, from })); // this adapter gave it out
    await Promise.all(logs.map(({ log }) => log.opened().catch(() => {}))); // the read tells
    const arrived = logs.some(
      ({ log, from }) => log.committed > from || log.logStart > from || log.refusal() !== undefined,
    );
    if (arrived || options.maxWaitMs <= 0) return;
    const sets = logs.map(({ log }) => log.waiters);
    await new Waiter(sets, this.#environment.deadlines, options.maxWaitMs, options.signal).done;
  }

  // ---- the node's own side

  status(): StorageStatus {
    const problems: StorageProblem[] = [];
    for (const log of this.#logs()) {
      const { trouble } = log;
      if (trouble !== undefined)
        problems.push({ code: trouble.code, where: log.where, detail: messageWithHint(trouble) });
    }
    const engines = [...this.#environment.engines.values()].map((instance) => ({
      instance: instance.name,
      use: instance.definition.name,
      health: instance.health,
    }));
    for (const { instance, health } of engines)
      if (health.status === 'full' || health.status === 'failed')
        problems.push({ code: 'ENGINE_UNHEALTHY', where: instance, detail: health.detail });
    const loops = this.#loops.map((loop) => ({
      name: loop.name,
      lastProgressMs: loop.sinceProgressMs,
      healthy: loop.healthy,
    }));
    for (const loop of loops)
      if (!loop.healthy)
        problems.push({
          code: 'LOOP_STUCK',
          where: loop.name,
          detail: `no progress for ${Math.round(loop.lastProgressMs / 1000)} s`,
        });
    return { ready: problems.length === 0 && !this.#draining, problems, engines, loops };
  }

  async archiveStatus(topicName?: string): Promise<ArchiveStatus> {
    const manifests = this.#manifests.status();
    const topic = topicName === undefined ? undefined : this.topic(topicName);
    if (topic === undefined) {
      if (topicName !== undefined) throw unknownTopic(topicName);
      // one that nobody has used since the start knows nothing of its chain yet
      const logs = [...this.#logs()].filter(({ phase }) => phase !== 'new' && phase !== 'loading');
      const all = [...this.#table.all()].reduce((sum, { shards }) => sum + shards, 0);
      return { shards: archiveStatusOf(logs), shardsNotOpen: all - logs.length, manifests };
    }
    const logs = this.shards(topic).map((shard) => (shard as LogShard).log); // this adapter made it
    await Promise.all(logs.map((log) => log.opened().catch(() => {}))); // it is unavailable, and describe says so
    return { shards: archiveStatusOf(logs), shardsNotOpen: 0, manifests };
  }

  async acceptLosses(topicName: string): Promise<readonly { shard: number; base: number; end: number }[]> {
    const topic = this.topic(topicName);
    if (topic === undefined) throw unknownTopic(topicName);
    const given: { shard: number; base: number; end: number }[] = [];
    for (const shard of this.shards(topic)) {
      const { log } = shard as LogShard; // this adapter made it
      const { logStart } = log;
      const before = new Set(log.rows.filter((row) => row.state === 'LOST').map((row) => row.id));
      await log.acceptLosses();
      await giveUpUnreadable(log);
      if (log.logStart > logStart && log.rows[0]?.base !== logStart)
        given.push({ shard: log.index, base: logStart, end: log.logStart });
      for (const row of log.rows)
        if (row.state === 'LOST' && !before.has(row.id)) given.push({ shard: log.index, base: row.base, end: row.end });
    }
    return given;
  }

  letGo(): void {
    this.#environment.coldReads.end();
  }

  async drain(): Promise<void> {
    if (this.#draining) return;
    this.#draining = true;
    this.#leaving.abort();
    await Promise.all(this.#loops.map((loop) => loop.stop()));
    await Promise.all([...this.#logs()].map((log) => log.drain()));
    await this.#manifests.drain();
  }

  async close(): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    this.letGo();
    this.#draining = true;
    this.#leaving.abort();
    this.#stopping.abort();
    for (const log of this.#logs()) log.stop(new StorageError('CLOSED', 'the node is stopping', { where: log.where }));
    await this.#stopLoops();
    await this.#table.stopped();
    await this.#manifests.stopped();
    this.#environment.deadlines.close();
    await this.#environment.readers.close();
  }

  /** A round may wait for an engine that answers no more; it ends when that is closed, which comes after this. */
  async #stopLoops(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = this.#environment.clock.timer(CLOSE_PATIENCE_MS, resolve);
      // a loop's stop does not fail
      Promise.all(this.#loops.map((loop) => loop.stop())).then(
        () => {
          timer.cancel();
          resolve();
        },
        () => resolve(),
      );
    });
  }

  // ---- background

  *#logs(): Iterable<ShardLog> {
    for (const shards of this.#shards.values()) for (const shard of shards) if (shard !== undefined) yield shard.log;
  }

  #follow(event: TopicEvent): void {
    const shards = this.#shards.get(event.topic.id);
    if (shards === undefined) return;
    if (event.type !== 'deleted') {
      for (const shard of shards) shard?.log.retopic(event.topic).catch(() => {}); // a failed roll shows at the next append
      return;
    }
    this.#shards.delete(event.topic.id);
    for (const shard of shards) shard?.log.stop(unknownTopic(event.topic.name));
  }

  /** Moves that an engine in trouble has made fail are made now, not when they have rested. */
  #wellAgain(instance: string): void {
    const woken = [...this.#logs()].filter((log) => log.moves.wellAgain(instance));
    if (woken.length > 0) this.#loop('moves')?.run();
  }

  /** Apart from upkeep, which may itself wait for what the overdue ones wait for. */
  async #giveUpOverdue(): Promise<void> {
    for (const log of this.#logs()) log.giveUpOverdue();
  }

  async #upkeep(): Promise<void> {
    const loop = this.#loop('upkeep');
    for (const log of [...this.#logs()]) {
      if (this.#draining) return;
      try {
        await upkeep(log);
      } catch (error) {
        if (!isStorageError(error, 'CLOSED', 'NOT_OWNER'))
          this.#environment.logger.warn({ shard: log.where, err: error }, 'upkeep failed');
      }
      loop?.progress();
    }
    await sweepDeletedTopics(this.#environment);
  }

  /**
   * Brings segments to where they belong, several shards at once: a slow engine keeps some of them waiting, not all. A shard that always has more to
   * move, since more is written all the time, is left after a while: the others get their turn.
   */
  async #moves(): Promise<void> {
    const { clock, tuning } = this.#environment;
    const until = clock.monotonic() + tuning.maintenanceIntervalMs;
    const waiting = [...this.#logs()];
    let isMore = false;
    const mover = async (): Promise<void> => {
      for (let log = waiting.pop(); log !== undefined && !this.#draining; log = waiting.pop())
        if (await this.#move(log, until)) isMore = true;
    };
    await Promise.all(Array.from({ length: tuning.movesAtOnce }, mover));
    if (isMore) this.#loop('moves')?.run();
  }

  /** At least one move, if there is one to make. @returns whether the time was over before the last */
  async #move(log: ShardLog, until: number): Promise<boolean> {
    const progress = (): void => this.#loop('moves')?.progress();
    try {
      while (!this.#draining && (await log.moves.next(progress)))
        if (this.#environment.clock.monotonic() >= until) return true;
    } catch (error) {
      if (!isStorageError(error, 'CLOSED', 'NOT_OWNER'))
        this.#environment.logger.warn({ shard: log.where, err: error }, 'segments could not be moved yet');
    } finally {
      progress();
    }
    return false;
  }

  async #maintainEngines(): Promise<void> {
    const { engines, logger } = this.#environment;
    const { signal } = this.#leaving;
    for (const { name, engine } of engines.values()) {
      if (this.#draining) return;
      try {
        await engine.maintain?.({ requestBudget: MAINTENANCE_REQUESTS, signal });
      } catch (error) {
        if (!isStorageError(error, 'CLOSED'))
          logger.warn({ engine: name, err: error }, 'an engine could not do its housekeeping');
      }
      this.#loop('engines')?.progress();
    }
  }

  #loop(name: string): Loop | undefined {
    return this.#loops.find((loop) => loop.name === name);
  }

  /** Shards of an earlier run that nobody has asked for: those with something to recover, to move or to delete are opened. */
  async #scan(): Promise<void> {
    for await (const { topicId, shard } of unopenedInNeed(
      this.#environment,
      this.#table,
      (id, index) => this.#shards.get(id)?.[index] !== undefined,
    )) {
      const topic = this.topicById(topicId);
      if (topic === undefined || this.#draining) continue;
      const opened = this.shard(topic, shard) as LogShard; // this adapter made it
      await opened.log.opened().catch(() => {}); // it is unavailable, and status says so
    }
  }

  #watchMetrics(): void {
    const { metrics, deadlines, readers, clock } = this.#environment;
    watchArchives(
      metrics,
      () => clock.monotonic(),
      () => archiveStatusOf(this.#logs()),
    );
    metrics.gauge('robust_topics', 'Topics', () => [...this.#table.all()].length);
    metrics.gauge('robust_shards_open', 'Shards that are in memory on this node', () => [...this.#logs()].length);
    metrics.gauge('robust_shards_unavailable', 'Shards that can not be served', () => this.status().problems.length);
    metrics.gauge('robust_segment_readers_open', 'Open readers of sealed segments', () => readers.size);
    metrics.gauge('robust_wait_timers', 'Timers that all waiting reads hold together', () => deadlines.timers);
    metrics.gauge('robust_shard_held_bytes', 'Bytes of appends that are not settled', () =>
      [...this.#logs()].reduce((sum, log) => sum + log.heldBytes, 0),
    );
    for (const loop of this.#loops)
      metrics.gauge(
        'robust_loop_progress_age_seconds',
        'Time since a background loop last got through',
        () => loop.sinceProgressMs / 1000,
        {
          loop: loop.name,
        },
      );
  }
}

function unknownTopic(name: string, hint?: string): StorageError {
  return new StorageError('TOPIC_UNKNOWN', `there is no topic ${name}`, hint === undefined ? {} : { hint });
}
