/** A client that writes, finds the server again when it is gone, and tells the history what it sent and what was acknowledged. */
export interface Load {
  readonly name: string;
  /** Replies that were errors, by code. */
  readonly errors: ReadonlyMap<number | string, number>;
  /** Sent more than once, where that is known. */
  readonly resent?: number;
  /** Resolves after `stop()` once everything sent has been acknowledged or given up; at once when `signal` aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Sends nothing new. */
  stop(): void;
}
