import { fork } from 'node:child_process';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { forEachBatch, isStorageError, type Meta, type Random, type StorageEngine, systemClock } from '@robustmq/core';
import type { ChildStart } from './child.ts';
import type { History, Print, Told } from './history.ts';
import { type MetaRequest, serveMeta } from './remote-meta.ts';

export interface RoundOptions extends Pick<ChildStart, 'module' | 'dir' | 'config'> {
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
  let round = 0;
  while (round < options.rounds && (round < 2 || systemClock.monotonic() < until)) {
    await killOne(options, history, round);
    round++;
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

async function killOne(options: RoundOptions, history: History, round: number): Promise<void> {
  const { module, dir, config, meta, random } = options;
  const child = fork(CHILD, [], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'ipc'],
    serialization: 'advanced',
    // flags of this process (a test runner's, a debugger's) are not for it
    execArgv: [],
  });
  let killed = false;
  let last: Told | undefined;
  const kill = (): void => {
    killed = true;
    child.kill('SIGKILL');
  };
  const moment = new Moment(random, kill);
  const late = systemClock.timer(OPEN_MS, kill);
  let complaint = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-4000);
  });
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  child.on('message', (message) => {
    void serveMeta(meta, message as MetaRequest).then((reply) => {
      // what a dead one asked for is done all the same
      if (child.connected) child.send(reply, () => {});
    });
  });
  const start: ChildStart = {
    module,
    dir,
    config,
    round,
    seed: Math.floor(random.next() * 2 ** 32),
    recover: history.open,
  };
  child.send(start, () => {});
  const pipe = child.stdio[3];
  if (!(pipe instanceof Readable)) throw new Error('the child has no pipe');
  for await (const line of createInterface({ input: pipe })) {
    // the last one may have been cut by the kill; what it spoke of was not called yet, or is in doubt
    const told = parse(line);
    if (told === undefined) continue;
    last = told;
    history.tell(told);
    moment.saw(told);
  }
  await gone;
  late.cancel();
  moment.over();
  if (!killed) throw new Error(`the process of round ${round} ended by itself (${child.exitCode}): ${complaint}`);
  if (last === undefined || last.tell === 'opening') {
    if (!moment.wasOpening)
      throw new Error(`the engine did not open within ${OPEN_MS} ms in round ${round}: ${complaint}`);
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
