import {
  ERRORS,
  type FaultCode,
  type FaultOperation,
  type FaultStep,
  OPERATIONS,
  plannedError,
} from './fault-operations.ts';
import { FaultSteps, STEP_INTS, type StepFault, type StepKind } from './fault-steps.ts';
import { UnsyncedWrites } from './unsynced-writes.ts';

/**
 * What a faulty file system is to do wrong, and what it has seen, in shared memory: the test holds one end, the file system of the
 * main thread and that of a worker the other.
 *
 *     const plan = new FaultPlan();
 *     plan.fail('write', /\.wal$/, { code: 'EIO', after: 3 });   // the fourth write to a WAL file, once
 *     plan.stall('write', /\.wal$/);  ...  plan.release();       // held until then
 *     plan.budget(1_000_000);                                    // a disk with that much left
 *     plan.failStep(17, { how: 'error', code: 'EIO' });          // the 17th operation from now that changes anything, whatever it is
 *     await plan.cut();                                          // the process is gone: nothing works any more
 */
export class FaultPlan {
  readonly shared: SharedFaults;
  readonly #ints: Int32Array;
  readonly #longs: BigInt64Array;
  readonly #text: Uint8Array;
  readonly #steps: FaultSteps;
  /** For the file system of this thread. */
  readonly unsynced: UnsyncedWrites = new UnsyncedWrites();
  /** Bytes read and written per path by the main thread; the worker's are in {@link FaultPlan.workerBytesWritten}. */
  readonly bytesRead: Map<string, number> = new Map();
  readonly bytesWritten: Map<string, number> = new Map();

  constructor(shared?: SharedFaults) {
    this.shared = shared ?? { memory: new SharedArrayBuffer(RULES_AT + RULES * RULE_BYTES) };
    this.#ints = new Int32Array(this.shared.memory);
    this.#longs = new BigInt64Array(this.shared.memory, LONGS_AT, 4);
    this.#text = new Uint8Array(this.shared.memory);
    this.#steps = new FaultSteps(new Int32Array(this.shared.memory, STEPS_AT, STEP_INTS));
    if (shared === undefined) this.#longs[BUDGET] = UNLIMITED;
  }

  /**
   * Lets `after` matching operations pass, then fails the next `times` (1 unless told, `Infinity` for all). Gives back a function that says
   * how many have failed.
   */
  fail(operation: FaultOperation, path: RegExp, options: FailOptions): () => number {
    return this.#add(operation, path, ERRORS.indexOf(options.code) + 1, options.after ?? 0, options.times ?? 1);
  }

  /** Holds matching operations until {@link release}. Gives back a function that says how many have been held. */
  stall(operation: FaultOperation, path: RegExp, options: { readonly after?: number } = {}): () => number {
    return this.#add(operation, path, STALL, options.after ?? 0, Number.POSITIVE_INFINITY);
  }

  /** Operations so far that change what is on the disk, of both threads: all of them, or those of one kind. */
  steps(kind?: StepKind): number {
    return this.#steps.count(kind);
  }

  /** The `nth` step from now (1 is the next) goes wrong; one plan has one such fault. Gives back a function that says how many have. */
  failStep(nth: number, fault: StepFault): () => number {
    return this.#steps.arm(nth, fault);
  }

  /** Drops all rules and lets go of everything that is held; counts and budget stay. */
  release(): void {
    for (let rule = 0; rule < RULES; rule++) Atomics.store(this.#ints, at(rule, KIND), 0);
    this.#steps.disarm();
    this.#openGate();
  }

  /** As if the process were gone: every operation fails from here on, and none is under way any more once this has resolved. */
  async cut(): Promise<void> {
    Atomics.store(this.#ints, CUT, 1);
    this.#openGate();
    for (;;) {
      const running = Atomics.load(this.#ints, RUNNING);
      if (running === 0) return;
      await waitAsync(this.#ints, RUNNING, running).value;
    }
  }

  /** From now on files may grow by this many bytes in all; what goes past fails with ENOSPC. `undefined`: as the disk has. */
  budget(bytes: number | undefined): void {
    Atomics.store(this.#longs, BUDGET, bytes === undefined ? UNLIMITED : BigInt(bytes));
  }

  get budgeted(): boolean {
    return Atomics.load(this.#longs, BUDGET) !== UNLIMITED;
  }

  freeBytes(real: number): number {
    const left = Atomics.load(this.#longs, BUDGET);
    return left === UNLIMITED ? real : Math.min(real, Number(left));
  }

  get workerBytesWritten(): number {
    return Number(Atomics.load(this.#longs, WORKER_WRITTEN));
  }

  get workerBytesRead(): number {
    return Number(Atomics.load(this.#longs, WORKER_READ));
  }

  /** Bytes read by the main thread from paths that match. */
  readBytes(path: RegExp): number {
    return sum(this.bytesRead, path);
  }

  writtenBytes(path: RegExp): number {
    return sum(this.bytesWritten, path);
  }

  /** For the file systems: does what `run` does, as planned. */
  async step<T>(step: FaultStep, run: StepRun<Promise<T>, Promise<void>>): Promise<T> {
    let gate = this.#gate();
    for (; this.#judge(step.operation, step.path); gate = this.#gate()) await waitAsync(this.#ints, GATE, gate).value;
    this.#spend(step.path, step.grows ?? 0);
    const fault = this.#steps.next(step);
    if (fault?.how === 'held') await waitAsync(this.#ints, GATE, gate, fault.forMs).value;
    this.look(step.operation, step.path);
    Atomics.add(this.#ints, RUNNING, 1);
    try {
      const error = fault === undefined ? undefined : plannedError(fault.code, step.operation, step.path);
      if (fault?.how === 'short') await run.half?.();
      if (fault?.how === 'forgotten') await run.forget?.();
      if (fault !== undefined && ONLY_FAIL.has(fault.how)) throw error;
      const done = await run.all();
      if (fault?.how === 'lost') throw error;
      if (fault?.how === 'late') await waitAsync(this.#ints, GATE, gate, fault.forMs).value;
      return done;
    } finally {
      this.#ended();
    }
  }

  /** The same for a thread that blocks. */
  stepSync<T>(step: FaultStep, run: StepRun<T, void>): T {
    let gate = this.#gate();
    for (; this.#judge(step.operation, step.path); gate = this.#gate()) Atomics.wait(this.#ints, GATE, gate);
    this.#spend(step.path, step.grows ?? 0);
    const fault = this.#steps.next(step);
    if (fault?.how === 'held') Atomics.wait(this.#ints, GATE, gate, fault.forMs);
    this.look(step.operation, step.path);
    Atomics.add(this.#ints, RUNNING, 1);
    try {
      const error = fault === undefined ? undefined : plannedError(fault.code, step.operation, step.path);
      if (fault?.how === 'short') run.half?.();
      if (fault?.how === 'forgotten') run.forget?.();
      if (fault !== undefined && ONLY_FAIL.has(fault.how)) throw error;
      const done = run.all();
      if (fault?.how === 'lost') throw error;
      if (fault?.how === 'late') Atomics.wait(this.#ints, GATE, gate, fault.forMs);
      return done;
    } finally {
      this.#ended();
    }
  }

  /** Before what only looks: a process that is gone sees nothing. */
  look(operation: string, path: string): void {
    if (Atomics.load(this.#ints, CUT) !== 0) throw plannedError('EIO', operation, path);
  }

  /** Whether the file systems must remember what they write: only while a sync is to forget it. */
  get remembers(): boolean {
    return this.#steps.forgets;
  }

  countRead(path: string, bytes: number): void {
    this.bytesRead.set(path, (this.bytesRead.get(path) ?? 0) + bytes);
  }

  countWritten(path: string, bytes: number): void {
    this.bytesWritten.set(path, (this.bytesWritten.get(path) ?? 0) + bytes);
  }

  countWorker(readBytes: number, writtenBytes: number): void {
    Atomics.add(this.#longs, WORKER_READ, BigInt(readBytes));
    Atomics.add(this.#longs, WORKER_WRITTEN, BigInt(writtenBytes));
  }

  #add(operation: FaultOperation, path: RegExp, kind: number, after: number, times: number): () => number {
    const source = new TextEncoder().encode(path.source);
    if (source.length > PATTERN_BYTES) throw new Error(`the pattern ${path.source} is too long`);
    for (let rule = 0; rule < RULES; rule++) {
      if (Atomics.load(this.#ints, at(rule, KIND)) !== 0 || Atomics.load(this.#ints, at(rule, USED)) !== 0) continue;
      Atomics.store(this.#ints, at(rule, USED), 1);
      Atomics.store(this.#ints, at(rule, OPERATION), OPERATIONS.indexOf(operation));
      Atomics.store(this.#ints, at(rule, AFTER), after);
      Atomics.store(this.#ints, at(rule, TIMES), Math.min(times, 2 ** 31 - 1));
      Atomics.store(this.#ints, at(rule, HITS), 0);
      Atomics.store(this.#ints, at(rule, LENGTH), source.length);
      this.#text.set(source, RULES_AT + rule * RULE_BYTES + PATTERN_AT);
      Atomics.store(this.#ints, at(rule, KIND), kind);
      return () => Atomics.load(this.#ints, at(rule, HITS));
    }
    throw new Error(`more than ${RULES} fault rules in one plan`);
  }

  #gate(): number {
    return Atomics.load(this.#ints, GATE);
  }

  #openGate(): void {
    Atomics.add(this.#ints, GATE, 1);
    Atomics.notify(this.#ints, GATE);
  }

  #ended(): void {
    if (Atomics.sub(this.#ints, RUNNING, 1) === 1) Atomics.notify(this.#ints, RUNNING);
  }

  /** True when the operation must wait at the gate. */
  #judge(operation: FaultOperation, path: string): boolean {
    this.look(operation, path);
    for (let rule = 0; rule < RULES; rule++) {
      const kind = Atomics.load(this.#ints, at(rule, KIND));
      if (kind === 0 || OPERATIONS[Atomics.load(this.#ints, at(rule, OPERATION))] !== operation) continue;
      const from = RULES_AT + rule * RULE_BYTES + PATTERN_AT;
      const source = new TextDecoder().decode(
        this.#text.slice(from, from + Atomics.load(this.#ints, at(rule, LENGTH))),
      );
      if (!new RegExp(source).test(path)) continue;
      if (Atomics.sub(this.#ints, at(rule, AFTER), 1) > 0) continue;
      Atomics.store(this.#ints, at(rule, AFTER), 0);
      Atomics.add(this.#ints, at(rule, HITS), 1);
      if (kind === STALL) return true;
      if (Atomics.sub(this.#ints, at(rule, TIMES), 1) === 1) Atomics.store(this.#ints, at(rule, KIND), 0);
      throw plannedError(ERRORS[kind - 1] ?? 'EIO', operation, path);
    }
    return false;
  }

  #spend(path: string, grows: number): void {
    if (grows <= 0 || !this.budgeted) return;
    if (Atomics.sub(this.#longs, BUDGET, BigInt(grows)) >= BigInt(grows)) return;
    Atomics.add(this.#longs, BUDGET, BigInt(grows));
    throw plannedError('ENOSPC', 'write', path);
  }
}

/** What one operation does: all of it; a half of it (a write); or the undoing of what it was to make durable (a sync). */
export interface StepRun<All, Part> {
  all(): All;
  half?(): Part;
  forget?(): Part;
}

export interface FailOptions {
  readonly code: FaultCode;
  readonly after?: number;
  readonly times?: number;
}

/** What crosses to a worker. */
export interface SharedFaults {
  readonly memory: SharedArrayBuffer;
}

const ONLY_FAIL: ReadonlySet<StepFault['how']> = new Set<StepFault['how']>(['error', 'short', 'forgotten']);
const STALL = 100;

// The shared memory: three ints (the gate's counter and the two below), four longs from byte 16, the steps, then the rules.
const GATE = 0;
const CUT = 1;
const RUNNING = 2;
const LONGS_AT = 16;
const BUDGET = 0;
const WORKER_WRITTEN = 1;
const WORKER_READ = 2;
const UNLIMITED = -1n;
const RULES = 64;
const STEPS_AT = 64;
const RULES_AT = 256;
const RULE_BYTES = 256;
const PATTERN_AT = 32;
const PATTERN_BYTES = RULE_BYTES - PATTERN_AT;
// The ints of a rule.
const KIND = 0;
const OPERATION = 1;
const AFTER = 2;
const TIMES = 3;
const HITS = 4;
const LENGTH = 5;
const USED = 6;

// ES2024, which the runtime has and the configured library does not describe.
const { waitAsync } = Atomics as unknown as {
  waitAsync(
    ints: Int32Array,
    index: number,
    value: number,
    timeoutMs?: number,
  ): { readonly value: string | Promise<string> };
};

function at(rule: number, field: number): number {
  return (RULES_AT + rule * RULE_BYTES) / 4 + field;
}

function sum(counts: ReadonlyMap<string, number>, path: RegExp): number {
  let total = 0;
  for (const [name, bytes] of counts) if (path.test(name)) total += bytes;
  return total;
}
