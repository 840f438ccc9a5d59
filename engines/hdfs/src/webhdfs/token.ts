/** The delegation token that goes with requests: a fixed one, or what stands in a file that somebody else keeps fresh. */
import { readFile } from 'node:fs/promises';
import { type Clock, StorageError } from '@robustmq/core';
import { StoreError } from '@robustmq/engine-objects';

/** Looked at so often while requests are made. */
const LOOK_EVERY_MS = 1000;
/** Far more than any token has. */
const MAX_TOKEN_BYTES = 16 * 1024;

export interface DelegationToken {
  /** As the next request takes it. */
  readonly current: string;
  /** To be called before a request. */
  look(): Promise<void>;
  /** The server has refused this one. @returns whether there is another one now @throws why none can be had */
  isRenewed(refused: string): Promise<boolean>;
}

export function fixedToken(token: string): DelegationToken {
  return { current: token, look: async () => {}, isRenewed: async () => false };
}

export class TokenFile implements DelegationToken {
  current: string;
  readonly #path: string;
  readonly #clock: Clock;
  #lookedAt: number;

  private constructor(path: string, clock: Clock, token: string) {
    this.current = token;
    this.#path = path;
    this.#clock = clock;
    this.#lookedAt = clock.monotonic();
  }

  /** @throws STORE_MISCONFIGURED */
  static async open(path: string, clock: Clock): Promise<TokenFile> {
    try {
      return new TokenFile(path, clock, await readToken(path));
    } catch (cause) {
      throw new StorageError('STORE_MISCONFIGURED', messageOf(cause), {
        hint: 'The file of delegationTokenFile holds one token and nothing else, as GETDELEGATIONTOKEN of WebHDFS gives it (urlString)',
        cause,
      });
    }
  }

  async look(): Promise<void> {
    const now = this.#clock.monotonic();
    if (now - this.#lookedAt < LOOK_EVERY_MS) return;
    this.#lookedAt = now;
    try {
      this.current = await readToken(this.#path);
    } catch {
      // it may be in the middle of being written, and nobody has refused the one that we have
    }
  }

  async isRenewed(refused: string): Promise<boolean> {
    // for another request
    if (this.current !== refused) return true;
    try {
      this.current = await readToken(this.#path);
    } catch (cause) {
      throw new StoreError('credentials', `the token is refused, and ${messageOf(cause)}`, {
        mayBeApplied: false,
        cause,
      });
    }
    return this.current !== refused;
  }
}

/** @throws Error */
async function readToken(path: string): Promise<string> {
  const token = await readFile(path, 'latin1').then(
    (text) => text.trim(),
    (cause: NodeJS.ErrnoException) => {
      throw new Error(`delegationTokenFile ${path} can not be read: ${cause.code ?? cause.message}`, { cause });
    },
  );
  if (token === '') throw new Error(`delegationTokenFile ${path} is empty`);
  // a file of `hdfs fetchdt`, say
  if (!/^[\x21-\x7e]+$/.test(token) || token.length > MAX_TOKEN_BYTES)
    throw new Error(`delegationTokenFile ${path} holds something else than a token in one line of text`);
  return token;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
