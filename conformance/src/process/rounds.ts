import { type ChildProcess, fork } from 'node:child_process';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { forEachBatch, isStorageError, type Meta, type Random, type StorageEngine, systemClock } from '@robustmq/core';
import type { ChildStart } from './child.ts';
import type { History, Print, Told } from './history.ts';
import { type MetaRequest, serveMeta } from './remote-meta.ts';

export interface RoundOptions extends Pick<ChildStart, 'dir' | 'config'> {
  readonly module: string;
  readonly meta: Meta;
  readonly random: Random;
  readonly rounds: number;
  /** New rounds begin for so long. */
  readonly boxMs: number;
}

/** How long one process is left alone after it has opened, and how long it may take to open. */
const LOAD_MS = 1500;
const OPEN_MS = 30_000;
const READ_BYTES = 256 * 1024;
const CHILD = new URL(import.meta.url.endsWith('.ts') ? './child.ts' : './child.js', import.meta.url);

/** Processes one after the other on one medium, each killed at a moment of its own: while it opens, while it recovers, under load. */
export async function killRounds(options: RoundOptions, history: History): Promise<number> {
  const until = systemClock.monotonic() + options.boxMs;
  // the next one loads its code while this one works
  let next = new Child(options.module);
  let round = 0;
  try {
    while (round < options.rounds && (round < 2 || systemClock.monotonic() < until)) {
      const child = next;
      next = new Child(options.module);
      try {
        await killOne(options, history, round, child);
      } finally {
        child.kill();
      }
      round++;
    }
  } finally {
    next.kill();
    await next.gone;
  }
  return round;
}

/** Recovers what is left and reads all there is. */
export async function readBack(engine: StorageEngine, history: History): Promise<void> {
  for (const id of history.open) {
    try {
      const { end } = await engine.recover(id, { epoch: 2_000_000_000 });
      history.tell({ tell: 'ended', id, end });
    } catch (error) {
      if (!isStorageError(error, 'SEGMENT_UNKNOWN', 'SEGMENT_LOST')) throw error;
      history.tell({ tell: 'gone', id });
    }
  }
  for (const id of history.ids) {
    const reader = await engine.openReader(id);
    const { base, end } = reader.offsets();
    const found: (Print & { base: number })[] = [];
    for (let from = base; from < end; ) {
      const { bytes, next } = await reader.read(from, { maxBytes: READ_BYTES });
      forEachBatch(bytes, (header) => {
        const { baseOffset, lastOffsetDelta, crc } = header;
        found.push({ base: baseOffset, records: lastOffsetDelta + 1, crc });
      });
      from = next;
    }
    history.read(id, found, end);
    await reader.close();
  }
}

async function killOne(options: RoundOptions, history: History, round: number, child: Child): Promise<void> {
  const { dir, config, meta, random } = options;
  let killed = false;
  let opened = false;
  const kill = (): void => {
    killed = true;
    child.kill();
  };
  const moment = new Moment(random, kill);
  const late = systemClock.timer(OPEN_MS, kill);
  const seed = Math.floor(random.next() * 2 ** 32);
  child.start({ dir, config, round, seed, recover: history.open }, meta);
  for await (const line of child.lines()) {
    // the last one may have been cut by the kill; what it spoke of was not called yet, or is in doubt
    const told = parse(line);
    if (told === undefined) continue;
    if (told.tell === 'open') {
      opened = true;
      late.cancel();
    }
    history.tell(told);
    moment.saw(told);
  }
  await child.gone;
  late.cancel();
  moment.over();
  const how = `in round ${round}: ${child.complaint}`;
  if (!killed) throw new Error(`the process ended by itself ${how}`);
  if (!opened && !moment.wasOpening) throw new Error(`the engine did not open within ${OPEN_MS} ms ${how}`);
}

/** A process that has loaded the engine, or is about to, and waits to be told to begin. */
class Child {
  readonly gone: Promise<void>;
  /** The last that it wrote to stderr. */
  complaint = '';
  readonly #process: ChildProcess;

  constructor(module: string) {
    this.#process = fork(CHILD, [module], {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'ipc'],
      serialization: 'advanced',
      // flags of this process (a test runner's, a debugger's) are not for it
      execArgv: [],
    });
    this.gone = new Promise<void>((resolve) => this.#process.once('close', () => resolve()));
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.complaint = (this.complaint + text).slice(-4000);
    });
  }

  start(start: ChildStart, meta: Meta): void {
    this.#process.on('message', (message) => {
      // what a dead one asked for is done all the same
      void serveMeta(meta, message as MetaRequest).then((reply) => {
        if (this.#process.connected) this.#process.send(reply, () => {});
      });
    });
    this.#process.send(start, () => {});
  }

  lines(): AsyncIterable<string> {
    const pipe = this.#process.stdio[3];
    if (!(pipe instanceof Readable)) throw new Error('the child has no pipe');
    return createInterface({ input: pipe });
  }

  kill(): void {
    this.#process.kill('SIGKILL');
    // nobody may ever read what it said
    const pipe = this.#process.stdio[3];
    if (pipe instanceof Readable && !pipe.readableFlowing) pipe.resume();
  }
}

/** When to kill: chosen before the process begins, in what it does, and a moment behind that. */
class Moment {
  readonly #at: 'opening' | 'recover' | 'acknowledged';
  readonly #kill: () => void;
  readonly #delayMs: number;
  #left: number;
  #timer: { cancel(): void } | undefined;

  constructor(random: Random, kill: () => void) {
    const chosen = random.next();
    this.#at = chosen < 0.12 ? 'opening' : chosen < 0.25 ? 'recover' : 'acknowledged';
    this.#delayMs = random.next() * { opening: 60, recover: 10, acknowledged: 3 }[this.#at];
    this.#left = this.#at === 'acknowledged' ? 1 + Math.floor(random.next() ** 2 * 500) : 1;
    this.#kill = kill;
  }

  get wasOpening(): boolean {
    return this.#at === 'opening';
  }

  saw({ tell }: Told): void {
    if (tell === 'open') this.#timer ??= systemClock.timer(LOAD_MS, this.#kill);
    if (tell !== this.#at || --this.#left !== 0) return;
    this.over();
    this.#timer = systemClock.timer(this.#delayMs, this.#kill);
  }

  over(): void {
    this.#timer?.cancel();
  }
}

function parse(line: string): Told | undefined {
  try {
    return JSON.parse(line) as Told; // written by `child.ts`
  } catch {
    return undefined;
  }
}
