/**
 * What a faulty file system is to do wrong, and what it has seen, in shared memory: the test holds one end, the file system of the
 * main thread and that of a worker the other.
 *
 *     const plan = new FaultPlan();
 *     plan.fail('write', /\.wal$/, { code: 'EIO', after: 3 });   // the fourth write to a WAL file, once
 *     plan.stall('write', /\.wal$/);  ...  plan.release();       // held until then
 *     plan.budget(1_000_000);                                    // a disk with that much left
 */
export class FaultPlan {
  readonly shared: SharedFaults;
  readonly #ints: Int32Array;
  readonly #longs: BigInt64Array;
  readonly #text: Uint8Array;
  /** Bytes read and written per path by the main thread; the worker's are in {@link FaultPlan.workerBytesWritten}. */
  readonly bytesRead: Map<string, number> = new Map();
  readonly bytesWritten: Map<string, number> = new Map();

  constructor(shared?: SharedFaults) {
    this.shared = shared ?? { memory: new SharedArrayBuffer(RULES_AT + RULES * RULE_BYTES) };
    this.#ints = new Int32Array(this.shared.memory);
    this.#longs = new BigInt64Array(this.shared.memory, LONGS_AT, 4);
    this.#text = new Uint8Array(this.shared.memory);
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

  /** Drops all rules and lets go of everything that is held; counts and budget stay. */
  release(): void {
    for (let rule = 0; rule < RULES; rule++) Atomics.store(this.#ints, at(rule, KIND), 0);
    Atomics.add(this.#ints, GATE, 1);
    Atomics.notify(this.#ints, GATE);
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

  /** For the file systems: waits, throws, or lets pass. */
  async enter(operation: FaultOperation, path: string, grows = 0): Promise<void> {
    for (;;) {
      const gate = Atomics.load(this.#ints, GATE);
      if (!this.#judge(operation, path)) break;
      await waitAsync(this.#ints, GATE, gate).value;
    }
    this.#spend(path, grows);
  }

  enterSync(operation: FaultOperation, path: string, grows = 0): void {
    for (;;) {
      const gate = Atomics.load(this.#ints, GATE);
      if (!this.#judge(operation, path)) break;
      Atomics.wait(this.#ints, GATE, gate);
    }
    this.#spend(path, grows);
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

  /** True when the operation must wait at the gate. */
  #judge(operation: FaultOperation, path: string): boolean {
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
      throw ioError(ERRORS[kind - 1] ?? 'EIO', operation, path);
    }
    return false;
  }

  #spend(path: string, grows: number): void {
    if (grows <= 0 || !this.budgeted) return;
    if (Atomics.sub(this.#longs, BUDGET, BigInt(grows)) >= BigInt(grows)) return;
    Atomics.add(this.#longs, BUDGET, BigInt(grows));
    throw ioError('ENOSPC', 'write', path);
  }
}

export type FaultOperation =
  | 'open'
  | 'create'
  | 'read'
  | 'write'
  | 'sync'
  | 'truncate'
  | 'rename'
  | 'unlink'
  | 'syncDirectory';

export interface FailOptions {
  readonly code: (typeof ERRORS)[number];
  readonly after?: number;
  readonly times?: number;
}

/** What crosses to a worker. */
export interface SharedFaults {
  readonly memory: SharedArrayBuffer;
}

const OPERATIONS: readonly FaultOperation[] = [
  'open',
  'create',
  'read',
  'write',
  'sync',
  'truncate',
  'rename',
  'unlink',
  'syncDirectory',
];
const ERRORS = ['EIO', 'ENOSPC', 'EMFILE', 'EACCES', 'ENOENT'] as const;
const STALL = 100;

// The shared memory: int 0 is the gate's counter, four longs from byte 8, then the rules.
const GATE = 0;
const LONGS_AT = 8;
const BUDGET = 0;
const WORKER_WRITTEN = 1;
const WORKER_READ = 2;
const UNLIMITED = -1n;
const RULES = 64;
const RULES_AT = 64;
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
  waitAsync(ints: Int32Array, index: number, value: number): { readonly value: string | Promise<string> };
};

function at(rule: number, field: number): number {
  return (RULES_AT + rule * RULE_BYTES) / 4 + field;
}

function sum(counts: ReadonlyMap<string, number>, path: RegExp): number {
  let total = 0;
  for (const [name, bytes] of counts) if (path.test(name)) total += bytes;
  return total;
}

function ioError(code: string, operation: FaultOperation, path: string): Error {
  return Object.assign(new Error(`${code}: planned fault, ${operation} '${path}'`), { code, syscall: operation, path });
}
