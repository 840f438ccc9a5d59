import {
  CHANGES,
  ERRORS,
  type FaultCode,
  type FaultOperation,
  type FaultStep,
  OPERATIONS,
} from './fault-operations.ts';

/** `durable`: syncs, and writes to files that were opened with O_DSYNC. */
export type StepKind = FaultOperation | 'durable';

export interface StepFault {
  /**
   * `error`: not done. `short`: a write does a half of it first. `lost`: done, and answered with an error. `forgotten`: a sync fails, and what it
   * was to sync is gone from the file, as after a write-back that failed; later syncs succeed.
   * `held`: not done before the gate opens. `late`: done, and answered when it does.
   */
  readonly how: 'error' | 'short' | 'lost' | 'forgotten' | 'held' | 'late';
  /** EIO unless told. */
  readonly code?: FaultCode;
  /** Only steps of these kinds count; all that change anything unless told. */
  readonly of?: readonly StepKind[];
  /** Again at every so many steps after it. */
  readonly every?: number;
  /** Held or late for so long at most; until `release` unless told. */
  readonly forMs?: number;
}

/**
 * Counts the steps that change anything, over all threads that share the memory, and picks the one that goes wrong.
 * The counts come first, by operation and then of the durable ones; behind them the fault.
 */
export class FaultSteps {
  readonly #ints: Int32Array;

  constructor(ints: Int32Array) {
    this.#ints = ints;
  }

  count(kind?: StepKind): number {
    if (kind !== undefined) return Atomics.load(this.#ints, place(kind));
    return CHANGES.reduce((sum, operation) => sum + Atomics.load(this.#ints, place(operation)), 0);
  }

  arm(nth: number, { how, code = 'EIO', of = CHANGES, every = 0, forMs }: StepFault): () => number {
    if (!(nth >= 1)) throw new Error(`step ${nth} from now is none`);
    Atomics.store(this.#ints, HOW, 0);
    Atomics.store(this.#ints, CODE, ERRORS.indexOf(code));
    Atomics.store(
      this.#ints,
      OF,
      of.reduce((bits, kind) => bits | (1 << place(kind)), 0),
    );
    Atomics.store(this.#ints, EVERY, every);
    Atomics.store(this.#ints, FOR_MS, forMs ?? 0);
    Atomics.store(this.#ints, HITS, 0);
    Atomics.store(this.#ints, LEFT, nth);
    Atomics.store(this.#ints, HOW, HOWS.indexOf(how) + 1);
    return () => Atomics.load(this.#ints, HITS);
  }

  disarm(): void {
    Atomics.store(this.#ints, HOW, 0);
  }

  /** What is not synced must be remembered, since a sync may have to forget it. */
  get forgets(): boolean {
    return Atomics.load(this.#ints, HOW) === HOWS.indexOf('forgotten') + 1;
  }

  /** Counts the step. @returns what goes wrong with it, if anything */
  next({ operation, synced = false }: FaultStep): Omit<Required<StepFault>, 'of' | 'every'> | undefined {
    const durable = synced || operation === 'sync' || operation === 'syncDirectory';
    Atomics.add(this.#ints, place(operation), 1);
    if (durable) Atomics.add(this.#ints, place('durable'), 1);
    const how = HOWS[Atomics.load(this.#ints, HOW) - 1];
    if (how === undefined) return undefined;
    const kinds = (1 << place(operation)) | (durable ? 1 << place('durable') : 0);
    if ((Atomics.load(this.#ints, OF) & kinds) === 0 || Atomics.sub(this.#ints, LEFT, 1) !== 1) return undefined;
    const every = Atomics.load(this.#ints, EVERY);
    if (every > 0) Atomics.add(this.#ints, LEFT, every);
    Atomics.add(this.#ints, HITS, 1);
    const forMs = Atomics.load(this.#ints, FOR_MS);
    return { how, code: ERRORS[Atomics.load(this.#ints, CODE)] ?? 'EIO', forMs: forMs === 0 ? FOREVER : forMs };
  }
}

const FOREVER = Number.POSITIVE_INFINITY;
const HOWS = ['error', 'short', 'lost', 'forgotten', 'held', 'late'] as const;

// The ints.
const DURABLE = OPERATIONS.length;
const HOW = 16;
const CODE = 17;
const OF = 18;
const EVERY = 19;
const FOR_MS = 20;
const HITS = 21;
const LEFT = 22;
export const STEP_INTS = 23;

function place(kind: StepKind): number {
  return kind === 'durable' ? DURABLE : OPERATIONS.indexOf(kind);
}
