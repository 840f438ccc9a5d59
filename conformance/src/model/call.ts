export interface Part {
  readonly body: Buffer;
  readonly records: number;
  readonly time: number;
}

/** One append. */
export interface Call {
  readonly index: number;
  readonly parts: readonly Part[];
  readonly records: number;
  fate: 'flight' | 'acknowledged' | 'doubt' | 'none';
  base: number | undefined;
}
