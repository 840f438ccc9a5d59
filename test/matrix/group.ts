/** Some pairs that share a node: their moves run at the same time, and are killed together. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '@robustmq/core';
import type { Pair, Stores } from './family.ts';
import { shardsLeft } from './left.ts';
import { Node } from './node.ts';
import { type Amount, type Described, PairRun } from './pair-run.ts';
import type { Row } from './row.ts';

/** So many lie there when the move begins. */
const SEGMENTS = 14;
const SEGMENT_BYTES = 16 * 1024;
/** Of a topic that is written before its data goes to an archive. */
const HEAD_SEGMENTS = 3;
const MAX_KILLS = 4;
/** Of a machine that has much else to do. */
const FILL_MS = 180_000;
const MOVE_MS = 180_000;
const AFTER_MS = 1000;
const LOOK_MS = 30;
const FILL_LOOK_MS = 100;
/** Between the last acknowledgement that a producer hears and the kill. */
const MAX_DEAF_MS = 60;

export interface GroupOptions {
  /** All of one kind: in all of them data follows, or in none. */
  readonly pairs: readonly Pair[];
  /** Of this group alone, also in the stores. */
  readonly place: string;
  /** Where its data is kept. */
  readonly dir: string;
  readonly stores: Stores;
  readonly random: Random;
}

interface ArchiveStatus {
  readonly shards: readonly {
    readonly topic: string;
    readonly waiting: Amount;
    readonly archived: Amount;
    readonly moving?: object;
    readonly failed?: { readonly code: string; readonly message: string };
  }[];
}

type ShardStatus = ArchiveStatus['shards'][number];

export class Group {
  readonly #options: GroupOptions;
  readonly #data: string;
  readonly #node: Node;
  readonly #runs: readonly PairRun[];
  /** Rejects with what went wrong in the background. */
  readonly #failure: Promise<never>;
  #fail: (error: unknown) => void = () => {};

  constructor(options: GroupOptions) {
    this.#options = options;
    this.#data = join(options.dir, 'data');
    this.#node = new Node(this.#data, join(options.dir, 'robust.yaml'));
    this.#runs = options.pairs.map((pair) => new PairRun(pair, this.#node, options.random));
    this.#failure = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.#failure.catch(() => {}); // there may be nobody to hear it any more
  }

  /** The last lines of the node's log. */
  get log(): string {
    return this.#node.log;
  }

  /** @throws what kept the moves from being made or checked */
  async run(): Promise<Row[]> {
    try {
      return await Promise.race([this.#run(), this.#failure]);
    } finally {
      for (const run of this.#runs) run.abort();
      await this.#node.kill();
    }
  }

  kill(): Promise<void> {
    return this.#node.kill();
  }

  async #run(): Promise<Row[]> {
    await this.#configure();
    await this.#node.start();
    await Promise.all(this.#runs.map((run) => run.start(this.#fail)));
    if (this.#runs.every(({ follows }) => follows)) await this.#moveWhatFollows();
    else await this.#moveWhatWasArchived();
    await sleep(AFTER_MS);
    await Promise.all(this.#runs.map((run) => run.finish()));
    // what was moved is as safe as the engine says where it lies now
    await this.#crash(false);
    for (const run of this.#runs) await run.readAgain();
    await this.#node.stop();
    return Promise.all(this.#runs.map((run) => run.row()));
  }

  async #configure(): Promise<void> {
    const { pairs, stores, place, dir } = this.#options;
    const members = new Set(pairs.flatMap(({ from, to }) => [from, to]));
    const engines: Record<string, unknown> = {};
    for (const member of members) engines[member.name] = await member.settings(stores, place);
    await mkdir(this.#data, { recursive: true });
    // JSON is YAML
    const config = {
      engines,
      defaults: { segment: { bytes: SEGMENT_BYTES } },
      // all of them at once, or a kill would hit some before or after their time
      storage: {
        movesAtOnce: pairs.length,
        maintenanceIntervalMs: 100,
        deleteGraceMs: 300,
        manifestIntervalMs: 1000,
      },
    };
    await writeFile(join(dir, 'robust.yaml'), JSON.stringify(config));
  }

  /** `topic alter --engine`: what is stored goes where the topic goes. */
  async #moveWhatFollows(): Promise<void> {
    await this.#untilEach(FILL_MS, async (run) => (await this.#sealedOn(run, run.pair.from.name)) >= SEGMENTS);
    await Promise.all(this.#runs.map((run) => run.alter('--engine', run.pair.to.name)));
    await this.#crashInTheMiddle();
    for (const run of this.#runs) {
      const behind = await this.#sealedOn(run, run.pair.from.name);
      if (behind > 0) throw new Error(`${run.name}: ${behind} segments stayed behind`);
    }
  }

  /**
   * To where it is less safe only the head of a topic goes, and what is stored stays (docs/topics.md), unless it lies there as an archive. So the
   * head goes, what is written then is archived where the topic came from, and is brought back.
   */
  async #moveWhatWasArchived(): Promise<void> {
    const { random } = this.#options;
    await this.#untilEach(FILL_MS, async (run) => (await this.#sealedOn(run, run.pair.from.name)) >= HEAD_SEGMENTS);
    await Promise.all(
      this.#runs.map((run) => {
        const { from, to } = run.pair;
        const archive = ['--archive-to', from.name, '--archive-after', '1s', '--keep-local', '0s'];
        return run.alter('--engine', to.name, ...archive);
      }),
    );
    const archived = async (run: PairRun) => (await this.#status()).get(run.topic)?.archived.segments ?? 0;
    const some = 2 + Math.floor(random.next() * (SEGMENTS / 2));
    await this.#untilEach(FILL_MS, async (run) => (await archived(run)) >= some);
    await this.#crash(false);
    await this.#untilEach(FILL_MS, async (run) => (await archived(run)) >= SEGMENTS);
    await Promise.all(this.#runs.map((run) => run.alter('--archive-to', 'none')));
    await this.#crashInTheMiddle();
    for (const run of this.#runs) {
      const stayed = await this.#sealedOn(run, run.pair.from.name);
      if (stayed === 0) throw new Error(`${run.name}: what was never archived went to where it is less safe`);
    }
  }

  /** Kills when chance and the progress of the moves say so, until each has been hit in the middle or is done; then waits for the rest. */
  async #crashInTheMiddle(): Promise<void> {
    for (let kills = 0; kills < MAX_KILLS; kills++) {
      const share = 0.15 + 0.5 * this.#options.random.next();
      await this.#until(MOVE_MS, async () => {
        await this.#look();
        const open = this.#runs.filter((run) => !run.wasInTheMiddle && run.waiting.segments > 0);
        if (open.length === 0) return true;
        const furthest = Math.max(...open.map((run) => run.share));
        return (furthest >= share && open.every((run) => run.share > 0)) || furthest >= 0.75;
      });
      if (!this.#runs.some((run) => !run.wasInTheMiddle && run.waiting.segments > 0)) break;
      await this.#crash(true);
    }
    const left = new Set(this.#runs);
    await this.#until(MOVE_MS, async () => {
      await this.#look();
      for (const run of left) {
        if (run.waiting.segments > 0) continue;
        run.done();
        left.delete(run);
      }
      return left.size === 0;
    });
  }

  async #crash(isMoving: boolean): Promise<void> {
    for (const run of this.#runs) run.beforeKill();
    await sleep(this.#options.random.next() * MAX_DEAF_MS);
    await this.#node.kill();
    const left = await shardsLeft(
      this.#data,
      this.#runs.map(({ topicId }) => topicId),
    );
    for (const [index, shard] of left.entries()) this.#runs[index]?.killed(shard, isMoving);
    await this.#node.start();
    // of a shard that nobody has used since the start the status says nothing
    for (const { topic } of this.#runs) await this.#node.command('archive', 'status', topic);
  }

  async #look(): Promise<void> {
    const status = await this.#status();
    for (const run of this.#runs) {
      const shard = status.get(run.topic);
      if (shard?.failed !== undefined)
        throw new Error(`${run.name}: a move failed: ${shard.failed.code}: ${shard.failed.message}`);
      run.looked(shard?.waiting ?? { segments: 0, bytes: 0 });
    }
  }

  async #status(): Promise<Map<string, ShardStatus>> {
    const { shards } = await this.#node.command<ArchiveStatus>('archive', 'status');
    return new Map(shards.map((shard) => [shard.topic, shard]));
  }

  async #sealedOn(run: PairRun, instance: string): Promise<number> {
    const { shards } = await this.#node.command<Described>('topic', 'describe', run.topic);
    return shards[0].segments.filter((segment) => segment.state === 'SEALED' && segment.instance === instance).length;
  }

  async #untilEach(ms: number, isReached: (run: PairRun) => Promise<boolean>): Promise<void> {
    const wait = async (run: PairRun): Promise<void> => {
      await this.#until(ms, () => isReached(run), run.name, FILL_LOOK_MS);
      run.isAhead = true;
    };
    await Promise.all(this.#runs.map(wait));
    for (const run of this.#runs) run.isAhead = false;
  }

  async #until(ms: number, isReached: () => Promise<boolean>, what = 'moves', lookMs = LOOK_MS): Promise<void> {
    const end = performance.now() + ms;
    while (!(await isReached())) {
      if (performance.now() > end) throw new Error(`${what}: not there after ${ms} ms`);
      await sleep(lookMs);
    }
  }
}
