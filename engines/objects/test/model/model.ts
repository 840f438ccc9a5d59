/**
 * Writers on two nodes, processes that were thought dead, takeovers, copies, deletions, compaction and sweepers over one bucket and one Meta, both of which lose, delay
 * and reorder what they are asked. Virtual time; everything follows from the seed. What was acknowledged must be there, once, where it was said
 * to be, and in the end nothing may lie in the bucket that no row leads to.
 */
import { encodeBatch, isStorageError, type SegmentReader, type SegmentWriter } from '@robustmq/core';
import { decodeRecords, forEachBatch } from '@robustmq/core/batch';
import { MemoryMeta, SeededRandom, VirtualClock } from '@robustmq/core/testing';
import { at } from '../../../../conformance/src/batches.ts';
import { segmentKey } from '../../src/meta/rows.ts';
import { Bucket } from '../support/bucket.ts';
import { SegmentLedger, Violation } from './ledger.ts';
import { type OpenEngine, ORPHAN_GRACE_MS, PART_BYTES, Process, type ProcessWorld } from './process.ts';
import { leaksOf } from './references.ts';

const STEPS = 70;
const SHARDS = 3;
const NODES = [1, 2];
const HOUR_MS = 3_600_000;
/** A few appends. */
const FILE_BYTES = 1500;
/** Everything that was begun ends within this, once the weather is calm. */
const SETTLE_MS = 30_000;

interface Shard {
  readonly name: string;
  epoch: number;
  segments: number;
  /** Oldest first; what was deleted is gone from here. */
  readonly chain: SegmentLedger[];
  open: { readonly ledger: SegmentLedger; readonly writer: SegmentWriter } | undefined;
  owner: Process | undefined;
  isBusy: boolean;
}

/** Each put makes an object, or is appended to a file. */
export type StoreKind = 'objects' | 'files';

export interface ModelResult {
  readonly acknowledged: number;
  /** Objects that were put in more than one part. */
  readonly inParts: number;
  readonly objects: number;
}

/** @throws Violation */
export async function runModel(seed: number, open: OpenEngine, kind: StoreKind = 'objects'): Promise<ModelResult> {
  return await new Model(seed, open, kind).run();
}

class Model {
  readonly #random: SeededRandom;
  readonly #clock = new VirtualClock();
  readonly #meta = new MemoryMeta();
  readonly #world: ProcessWorld;
  readonly #bucket: Bucket;
  readonly #processes: Process[] = [];
  readonly #killed: Process[] = [];
  readonly #shards: Shard[] = [];
  /** Writers of former owners, who do not know it. */
  readonly #former: { readonly ledger: SegmentLedger; readonly writer: SegmentWriter }[] = [];
  readonly #deleted: string[] = [];
  /** Of those: whose deletion was answered. */
  readonly #gone: string[] = [];
  readonly #running = new Map<Promise<void>, string>();
  #violation: Violation | undefined;
  #tags = 0;
  #forks = 0;

  constructor(seed: number, open: OpenEngine, kind: StoreKind) {
    this.#random = new SeededRandom(seed);
    const fork = (): SeededRandom => new SeededRandom(Math.imul(seed, 7919) + this.#forks++ * 104_729);
    this.#bucket = new Bucket({ clock: this.#clock, random: fork(), minPartBytes: PART_BYTES });
    const modes = ['atomic', 'racy', 'ignored', 'refused'] as const;
    this.#world = {
      clock: this.#clock,
      bucket: this.#bucket,
      meta: this.#meta,
      conditionalCreates: kind === 'files' ? 'atomic' : (modes[seed % modes.length] ?? 'atomic'),
      open,
      fileBytes: kind === 'files' ? FILE_BYTES : undefined,
      fork,
    };
  }

  async run(): Promise<ModelResult> {
    for (const node of NODES) await this.#settled(this.#start(node));
    for (let i = 0; i < SHARDS; i++)
      this.#shards.push({
        name: `s${i}`,
        epoch: 0,
        segments: 0,
        chain: [],
        open: undefined,
        owner: undefined,
        isBusy: false,
      });
    for (let step = 0; step < STEPS; step++) {
      this.#act();
      await this.#clock.advance(this.#random.next() ** 2 * 120);
      this.#check();
    }
    await this.#finish();
    let acknowledged = 0;
    for (const { chain } of this.#shards) for (const ledger of chain) acknowledged += ledger.acknowledged.size;
    return { acknowledged, objects: this.#bucket.objects.size, inParts: this.#bucket.inParts };
  }

  #act(): void {
    const draw = this.#random.next();
    const shard = this.#pick(this.#shards);
    if (shard === undefined) return;
    if (shard.open === undefined && !shard.isBusy && draw < 0.8)
      this.#do(`takeOver of ${shard.name}`, () => this.#takeOver(shard));
    else if (draw < 0.55) this.#append(shard.open);
    else if (draw < 0.63) this.#append(this.#pick(this.#former));
    else if (draw < 0.68) this.#do(`takeOver of ${shard.name}`, () => this.#takeOver(shard));
    else if (draw < 0.73) this.#do(`roll of ${shard.name}`, () => this.#roll(shard));
    else if (draw < 0.79) this.#do(`copy of ${shard.name}`, () => this.#copy(shard));
    else if (draw < 0.82) this.#do(`delete of ${shard.name}`, () => this.#delete(shard));
    else if (draw < 0.87) this.#do(`read of ${shard.name}`, () => this.#read(shard));
    else if (draw < 0.95) this.#do('maintain', () => this.#maintain());
    else if (draw < 0.96) this.#outage();
    else if (draw < 0.985) this.#do('restart', () => this.#restart(true));
    else this.#do('another process', () => this.#restart(false));
  }

  // ---- actions

  #append(open: { readonly ledger: SegmentLedger; readonly writer: SegmentWriter } | undefined): void {
    if (open === undefined) return;
    const { ledger, writer } = open;
    const { end: base, sealed } = writer.offsets();
    if (sealed) return;
    const tag = `t${this.#tags++}`;
    ledger.submit(base, tag);
    const bytes = at(base, encodeBatch([{ timestamp: 1, key: null, value: Buffer.from(tag) }]));
    this.#do(`append ${tag} to ${ledger.id}`, async () => {
      try {
        await writer.append([bytes], { base });
      } catch (error) {
        if (isStorageError(error) && error.outcome === 'none') ledger.refused(base, tag);
        return;
      }
      ledger.acknowledge(base, tag);
    });
  }

  async #takeOver(shard: Shard): Promise<void> {
    const owner = this.#pick(this.#alive());
    if (shard.isBusy || owner === undefined) return;
    shard.isBusy = true;
    try {
      const { open } = shard;
      shard.open = undefined;
      if (open !== undefined) this.#former.push(open);
      const last = shard.chain.at(-1);
      shard.epoch++;
      if (last !== undefined && last.end === undefined) {
        const { end } = await owner.engine.recover(last.id, { epoch: shard.epoch });
        last.ended(end);
      }
      await this.#openNext(shard, owner);
    } finally {
      shard.isBusy = false;
    }
  }

  async #roll(shard: Shard): Promise<void> {
    const { open, owner } = shard;
    if (shard.isBusy || open === undefined || owner === undefined || owner.isDead) return;
    shard.isBusy = true;
    try {
      shard.open = undefined;
      this.#former.push(open);
      const { end } = await open.writer.seal();
      open.ledger.ended(end);
      await this.#openNext(shard, owner);
    } finally {
      shard.isBusy = false;
    }
  }

  async #openNext(shard: Shard, owner: Process): Promise<void> {
    const base = shard.chain.at(-1)?.end ?? 0;
    const id = `${shard.name}-${String(shard.segments++).padStart(4, '0')}`;
    const state = Buffer.alloc(this.#random.next() < 0.1 ? 20_000 : 10, shard.epoch);
    const writer = await owner.engine.create(id, { base, epoch: shard.epoch, config: {}, state });
    const ledger = new SegmentLedger(id, base);
    shard.chain.push(ledger);
    shard.open = { ledger, writer };
    shard.owner = owner;
  }

  /** As archiving does: a copy under another name takes the segment's place. */
  async #copy(shard: Shard): Promise<void> {
    const ledger = this.#pick(shard.chain.filter(({ end }) => end !== undefined));
    const owner = this.#pick(this.#alive());
    if (shard.isBusy || ledger?.end === undefined || owner === undefined) return;
    shard.isBusy = true;
    try {
      const { base, end } = ledger;
      const reader = await owner.engine.openReader(ledger.id);
      const id = `${shard.name}-${String(shard.segments++).padStart(4, '0')}`;
      const state = await reader.state();
      const range = { base, end, epoch: shard.epoch, state, uid: `u${this.#tags++}` };
      await owner.engine.ingest(id, range, batchesOf(reader, base, end));
      const copy = new SegmentLedger(id, base);
      for (const [offset, tag] of ledger.acknowledged) copy.acknowledged.set(offset, tag);
      for (const [offset, tags] of ledger.possible) copy.possible.set(offset, tags);
      copy.end = end;
      shard.chain[shard.chain.indexOf(ledger)] = copy;
      this.#deleted.push(ledger.id);
      await owner.engine.delete(ledger.id);
      this.#gone.push(ledger.id);
    } finally {
      shard.isBusy = false;
    }
  }

  async #delete(shard: Shard): Promise<void> {
    const oldest = shard.chain[0];
    const owner = this.#pick(this.#alive());
    if (shard.isBusy || oldest?.end === undefined || owner === undefined || shard.chain.length < 3) return;
    shard.chain.shift();
    this.#deleted.push(oldest.id);
    await owner.engine.delete(oldest.id);
    this.#gone.push(oldest.id);
  }

  async #read(shard: Shard): Promise<void> {
    const ledger = this.#pick(shard.chain.filter(({ end }) => end !== undefined));
    const process = this.#pick(this.#alive());
    if (ledger === undefined || process === undefined) return;
    const reader = await process.engine.openReader(ledger.id);
    ledger.check(await tagsOf(reader), 'while it runs');
  }

  async #maintain(): Promise<void> {
    const process = this.#pick(this.#alive());
    await process?.engine.maintain?.({ requestBudget: 100, signal: new AbortController().signal });
  }

  /** Longer than anybody has patience for. */
  #outage(): void {
    this.#bucket.trouble = 'server';
    this.#clock.timer(1000 + this.#random.next() * 3000, () => {
      this.#bucket.trouble = undefined;
    });
  }

  /** Another process of a node. The one before was killed, or is only thought to be dead and goes on. */
  async #restart(kill: boolean): Promise<void> {
    const before = this.#pick(this.#alive());
    if (before === undefined) return;
    if (kill) {
      before.kill();
      this.#killed.push(before);
    }
    this.#processes.splice(this.#processes.indexOf(before), 1);
    await this.#start(before.node);
  }

  async #start(node: number): Promise<void> {
    this.#processes.push(await Process.start(this.#world, node));
  }

  // ---- the end

  async #finish(): Promise<void> {
    for (const process of this.#processes) process.calm();
    // they would wait for Meta for ever; nothing of them gets through any more
    for (const { engine } of this.#killed) this.#do('close', () => engine.close());
    await this.#settle();
    // one process for each node, so that every life before is over
    const fresh: Process[] = [];
    for (const node of [...NODES, 3])
      await this.#settled(Process.start(this.#world, node, true).then((process) => void fresh.push(process)));
    const last = fresh.at(-1);
    if (last === undefined) throw new Error('no process could be started');
    for (const shard of this.#shards) {
      const open = shard.chain.at(-1);
      if (open !== undefined && open.end === undefined)
        await this.#settled(
          last.engine.recover(open.id, { epoch: shard.epoch + 1 }).then(({ end }) => open.ended(end)),
        );
      for (const ledger of shard.chain) await this.#settled(this.#readWhole(last, ledger, 'at the end'));
    }
    for (const id of this.#gone)
      if ((await this.#meta.get(segmentKey(id))) !== undefined)
        throw new Violation(`${id} was deleted, and is there again`);
    for (const id of this.#deleted) await this.#settled(last.engine.delete(id));
    // what was on its way has arrived, what is not needed goes, and what is needed stays
    for (let hours = 0; hours < 8; hours++) {
      for (const { engine } of fresh)
        await this.#settled(
          engine.maintain?.({ requestBudget: 10_000, signal: new AbortController().signal }) ?? Promise.resolve(),
        );
      await this.#clock.advance(HOUR_MS + ORPHAN_GRACE_MS);
      this.#check();
    }
    for (const { chain } of this.#shards)
      for (const ledger of chain) await this.#settled(this.#readWhole(last, ledger, 'after housekeeping'));
    const segments = this.#shards.flatMap(({ chain }) => chain.map(({ id }) => id));
    const leaks = await leaksOf(this.#meta, this.#bucket, segments);
    if (leaks.length > 0) throw new Violation(`left in the store or in Meta, and of no use: ${leaks.join(', ')}`);
    // the mark says the same whoever puts it
    const overwritten = this.#bucket.overwritten.find(({ key }) => !/\/(probe\/.*|medium)$/.test(key));
    if (overwritten !== undefined) throw new Violation(`an object was put again by another writer: ${overwritten.key}`);
    for (const { engine } of fresh) await this.#settled(engine.close());
  }

  async #readWhole({ engine }: Process, ledger: SegmentLedger, when: string): Promise<void> {
    const reader = await engine.openReader(ledger.id);
    ledger.check(await tagsOf(reader), when);
    await reader.close();
  }

  async #settle(): Promise<void> {
    for (let waited = 0; this.#running.size > 0 && waited < SETTLE_MS; waited += 500) await this.#clock.advance(500);
    this.#check();
    if (this.#running.size > 0) throw new Violation(`these did not end: ${[...this.#running.values()].join(', ')}`);
  }

  /** Runs the clock until it is done. */
  async #settled(work: Promise<void>): Promise<void> {
    let outcome: { readonly error?: unknown } | undefined;
    work.then(
      () => {
        outcome = {};
      },
      (error: unknown) => {
        outcome = { error };
      },
    );
    for (let waited = 0; outcome === undefined && waited < SETTLE_MS; waited += 20) await this.#clock.advance(20);
    if (outcome === undefined) throw new Violation('a call did not end');
    if (outcome.error !== undefined)
      throw outcome.error instanceof Violation
        ? outcome.error
        : new Violation(`in calm weather: ${String(outcome.error)}`, { cause: outcome.error });
  }

  #do(what: string, action: () => Promise<void>): void {
    const running = action()
      .catch((error: unknown) => {
        // what fails in rough weather is tried again by somebody; what comes to light is told
        if (error instanceof Violation) this.#violation ??= error;
        else if (isStorageError(error, 'CORRUPT', 'SEGMENT_LOST', 'FORMAT_TOO_NEW'))
          this.#violation ??= new Violation(`while it runs: ${error.message}`, { cause: error });
        else if (!isStorageError(error))
          this.#violation ??= new Violation(`no typed error: ${String(error)}`, { cause: error });
      })
      .finally(() => void this.#running.delete(running));
    this.#running.set(running, what);
  }

  #check(): void {
    if (this.#violation !== undefined) throw this.#violation;
  }

  #alive(): Process[] {
    return this.#processes.filter(({ isDead }) => !isDead);
  }

  #pick<T>(from: readonly T[]): T | undefined {
    return from[Math.floor(this.#random.next() * from.length)];
  }
}

async function* batchesOf(reader: SegmentReader, base: number, end: number): AsyncGenerator<Uint8Array> {
  for (let from = base; from < end; ) {
    const { bytes, next } = await reader.read(from, { maxBytes: 4096 });
    if (bytes.length > 0) yield bytes;
    if (next <= from) return;
    from = next;
  }
}

async function tagsOf(reader: SegmentReader): Promise<{ offset: number; tag: string }[]> {
  const { base, end } = reader.offsets();
  const found: { offset: number; tag: string }[] = [];
  for await (const bytes of batchesOf(reader, base, end))
    forEachBatch(bytes, (header, position) => {
      for (const { offset, value } of decodeRecords(bytes.subarray(position, position + header.bytes)))
        found.push({ offset, tag: Buffer.from(value ?? '').toString() });
    });
  return found;
}
