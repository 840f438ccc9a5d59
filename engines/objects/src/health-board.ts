import { describeError, type EngineHealth, type StorageError } from '@robustmq/core';

const WELL: EngineHealth = { status: 'ok', detail: '' };
const WORST: readonly EngineHealth['status'][] = ['failed', 'full', 'pressure'];

/** One word about the instance from all that can go wrong with it: one part that is well again does not hide another that is not. */
export class HealthBoard {
  readonly #report: (health: EngineHealth) => void;
  readonly #parts = new Map<string, EngineHealth>();
  #last = WELL;

  constructor(report: (health: EngineHealth) => void) {
    this.#report = report;
  }

  /** What `part` says now; `undefined`: it is well. */
  tell(part: string, news: EngineHealth | StorageError | undefined): void {
    this.#parts.set(part, news === undefined ? WELL : 'status' in news ? news : failedBy(news));
    const all = [...this.#parts.values()];
    const worst = WORST.flatMap((status) => all.find((one) => one.status === status) ?? []).at(0) ?? WELL;
    if (worst.status === this.#last.status && worst.detail === this.#last.detail) return;
    this.#last = worst;
    this.#report(worst);
  }
}

function failedBy(error: StorageError): EngineHealth {
  return { status: 'failed', detail: describeError(error) };
}
