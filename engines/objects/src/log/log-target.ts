import type { Random } from '@robustmq/core';
import { logObject, type ObjectNames } from '../keys.ts';
import type { Life } from '../meta/life.ts';
import { appendedKey } from '../read/appended.ts';
import type { SteadyOptions, SteadyStore } from '../store/steady-store.ts';
import type { GrowingFile } from './growing-file.ts';
import { encodeLogObject, type PlacedRun, type Run } from './log-object.ts';

/** Where the runs of one flush lie. */
export interface StoredLog {
  readonly object: string;
  readonly number: number;
  /** Of what was appended to a file: where it begins. */
  readonly from?: number;
  /** Of the object, or of what was appended. */
  readonly objectBytes: number;
  readonly placed: readonly PlacedRun[];
  /** An earlier try may still arrive. */
  readonly strayed: boolean;
  /** To be called once rows lead to it, or never will. */
  settled(): void;
}

/** What takes the node's write-ahead log. */
export interface LogTarget {
  put(runs: readonly Run[], options: Pick<SteadyOptions, 'for'>): Promise<StoredLog>;
}

export interface LogTargetOptions {
  readonly life: Life;
  readonly names: ObjectNames;
  /** A whole object that readers may want soon, by its key. */
  keep(key: string, body: Uint8Array): void;
}

export interface LogObjectsOptions extends LogTargetOptions {
  readonly store: SteadyStore;
  readonly random: Random;
  /** The object may or may not be there, and no row will ever lead to it. */
  doubt(object: string): void;
  /** It was put, and an earlier try to put it may still arrive. */
  strayed(object: string): void;
}

/** Each flush is an object of its own. */
export class LogObjects implements LogTarget {
  readonly #options: LogObjectsOptions;

  constructor(options: LogObjectsOptions) {
    this.#options = options;
  }

  async put(runs: readonly Run[], options: Pick<SteadyOptions, 'for'>): Promise<StoredLog> {
    const { life, store, names, random } = this.#options;
    const number = await life.number();
    const object = logObject(life.name, life.uid, number);
    const { body, placed } = encodeLogObject({ uid: life.uid, number }, runs);
    let strayed = false;
    try {
      await store.put(names.keyOf(object), [body], random.uuid(), {
        ...options,
        strayed: () => {
          strayed = true;
          this.#options.strayed(object);
        },
      });
    } catch (error) {
      this.#options.doubt(object);
      throw error;
    }
    this.#options.keep(names.keyOf(object), body);
    return { object, number, strayed, objectBytes: body.length, placed, settled: () => {} };
  }
}

/** Flushes are appended to a file, one after the other. */
export class LogFile implements LogTarget {
  readonly #options: LogTargetOptions & { readonly file: GrowingFile };

  constructor(options: LogTargetOptions & { readonly file: GrowingFile }) {
    this.#options = options;
  }

  async put(runs: readonly Run[], options: Pick<SteadyOptions, 'for'>): Promise<StoredLog> {
    const { life, names, file } = this.#options;
    let encoded = encodeLogObject({ uid: life.uid, number: 0 }, []);
    const { object, number, from, settled } = await file.append((current) => {
      encoded = encodeLogObject({ uid: life.uid, number: current.number }, runs);
      return [encoded.body];
    }, options);
    const { body, placed } = encoded;
    this.#options.keep(appendedKey(names.keyOf(object), from), body);
    return { object, number, from, strayed: false, objectBytes: body.length, placed, settled };
  }
}
