/** A failure that another seed than the run's own shows again: of the one of its parts that failed. */
export class SeededFailure extends Error {
  readonly seed: number;

  constructor(message: string, seed: number, options?: ErrorOptions) {
    super(message, options);
    this.seed = seed;
  }
}

export function seedOf(error: unknown, ofRun: number): number {
  return error instanceof SeededFailure ? error.seed : ofRun;
}
