import { type Clock, type MetaGuard, type Random, StorageError } from '@robustmq/core';
import { logObject } from '../keys.ts';
import { deadCodec, deadKey, lifeCodec, lifeKey, roomCodec, roomKey, seenCodec, seenKey } from './rows.ts';
import type { SteadyMeta } from './steady-meta.ts';

/** Numbers of log objects that are reserved in Meta at once: so many a life leaves to be swept at most. */
const RESERVED_AT_ONCE = 64;
/** The next ones are asked for when so few are left. */
const RESERVE_BELOW = 16;

export interface LifeOptions {
  readonly meta: SteadyMeta;
  readonly node: number;
  readonly random: Random;
  readonly clock: Clock;
}

/**
 * One process of a node, as far as it may write. Every commit that makes an object count is guarded by the life's row, so that one commit ends
 * all that a former process may still have on its way.
 */
export class Life {
  /** `<node>-<life>` */
  readonly name: string;
  readonly uid: string;
  /** What every commit that adds a reference to an object must hold. */
  readonly guard: MetaGuard;
  readonly #options: LifeOptions;
  readonly #life: number;
  #next = 0;
  #reserved = 0;
  #reserving: Promise<void> | undefined;
  /** Numbers in use of which it is not known yet what came of them, in order. */
  readonly #open = new Set<number>();

  constructor(options: LifeOptions, life: number, uid: string, revision: number) {
    this.#options = options;
    this.#life = life;
    this.name = `${options.node}-${life}`;
    this.uid = uid;
    this.guard = { key: lifeKey(options.node), revision };
  }

  /** A number for a log object that Meta knows may be used. @throws FENCED, CLOSED */
  async number(): Promise<number> {
    while (this.#next >= this.#reserved) await this.#reserve();
    // its failure shows when the numbers are needed
    if (this.#reserved - this.#next < RESERVE_BELOW) this.#reserve().catch(() => {});
    const number = this.#next++;
    this.#open.add(number);
    return number;
  }

  /** A row leads to the object of that number. */
  settled(number: number): void {
    this.#open.delete(number);
  }

  /** An object was deleted, and can not come back. */
  gone(object: string): void {
    const number = Number(object.slice(object.lastIndexOf('/') + 1));
    if (this.#open.has(number) && object === logObject(this.name, this.uid, number)) this.#open.delete(number);
  }

  #reserve(): Promise<void> {
    this.#reserving ??= this.#reserveMore().finally(() => {
      this.#reserving = undefined;
    });
    return this.#reserving;
  }

  async #reserveMore(): Promise<void> {
    const { meta, node, random } = this.#options;
    const reserved = this.#reserved + RESERVED_AT_ONCE;
    const [settled = this.#next] = this.#open;
    const value = roomCodec.encode({ life: this.#life, reserved, settled });
    const result = await meta.commit({
      id: random.uuid(),
      guards: [this.guard],
      puts: [{ key: roomKey(node), value }],
    });
    if (!result.ok) throw fencedLife(this.name);
    this.#reserved = reserved;
  }

  /** Says that the life goes on: other nodes end one that was not seen for long. */
  async seen(): Promise<void> {
    const { meta, node, random, clock } = this.#options;
    const value = seenCodec.encode({ at: Math.floor(clock.wall()) });
    const result = await meta.commit({
      id: random.uuid(),
      guards: [this.guard],
      puts: [{ key: seenKey(node), value }],
    });
    if (!result.ok) throw fencedLife(this.name);
  }
}

/** Begins a new life of a node, and ends the one before: nothing of that one is committed any more. */
export async function beginLife(options: LifeOptions): Promise<Life> {
  const { random, node, clock } = options;
  const uid = random.uuid();
  const { life, revision } = await replaceLife(options, uid);
  const begun = new Life({ meta: options.meta, node, random, clock }, life, uid, revision);
  await begun.seen();
  return begun;
}

/** Ends the life of a node that is not seen any more. */
export async function endLife(options: LifeOptions): Promise<void> {
  await replaceLife(options, '');
}

async function replaceLife(options: LifeOptions, uid: string): Promise<{ life: number; revision: number }> {
  const { meta, node, random, clock } = options;
  for (;;) {
    const found = await meta.get(lifeKey(node));
    const room = await meta.get(roomKey(node));
    const before = found === undefined ? undefined : lifeCodec.decode(found.value, found.key);
    const rooms = room === undefined ? undefined : roomCodec.decode(room.value, room.key);
    const life = (before?.life ?? 0) + 1;
    const over =
      before === undefined || before.uid === ''
        ? []
        : [
            {
              key: deadKey(`${node}-${before.life}`),
              value: deadCodec.encode({
                uid: before.uid,
                reserved: rooms?.life === before.life ? rooms.reserved : 0,
                settled: rooms?.life === before.life ? rooms.settled : 0,
                fencedAt: Math.floor(clock.wall()),
              }),
            },
          ];
    const result = await meta.commit({
      id: random.uuid(),
      guards: [
        { key: lifeKey(node), revision: found?.revision ?? 0 },
        { key: roomKey(node), revision: room?.revision ?? 0 },
      ],
      puts: [
        { key: lifeKey(node), value: lifeCodec.encode({ life, uid }) },
        { key: roomKey(node), value: roomCodec.encode({ life, reserved: 0, settled: 0 }) },
        ...over,
      ],
    });
    if (result.ok) return { life, revision: result.revision };
  }
}

export function fencedLife(name: string): StorageError {
  return new StorageError('FENCED', `Another process has taken the place of ${name}`, {
    hint: 'Two processes run with one node id: give each node an id of its own',
  });
}
