import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type FileSystem,
  type Meta,
  nodeFileSystem,
  type OpenEngineInstance,
  type StorageEngine,
} from '@robustmq/core';
import {
  type DiskImage,
  FaultPlan,
  faultyFileSystem,
  MemoryMeta,
  type StepFault,
  type StepKind,
} from '@robustmq/core/testing';
import type { EngineHarness, Workshop } from '../check.ts';
import { writeImage } from '../faults/write-image.ts';
import type { FlakyLink, LinkFault } from '../faults-net/flaky-link.ts';
import { inTime } from './ledger.ts';

/** Where one run of a workload happens, and how one step of its I/O goes wrong. */
export interface Place {
  /** Of the ids of its segments. */
  readonly prefix: string;
  /** Steps so far: operations that change files, or those of the kinds named; or requests. */
  steps(of?: readonly StepKind[]): number;
  /** The `nth` step from now goes wrong. @returns how many have */
  arm(nth: number, fault: StepFault): () => number;
  open(): Promise<StorageEngine>;
  /** Nothing goes wrong any more. */
  heal(): void;
  /** Opens again what was closed, or what is abandoned now. */
  reopen(crash: boolean): Promise<StorageEngine>;
  dispose(): Promise<void>;
}

/** What an instance left. */
export interface Medium {
  readonly image: DiskImage;
  readonly meta: Meta;
}

/** A directory of its own, with faults in `ctx.fs`. Empty, or a copy of what another instance left. */
export class DirectoryPlace implements Place {
  readonly prefix = '';
  readonly plan: FaultPlan = new FaultPlan();
  readonly #workshop: Workshop;
  readonly #meta: Meta;
  readonly #dir: Promise<string>;
  #first: Opened | undefined;
  readonly #all: OpenEngineInstance[] = [];

  constructor(workshop: Workshop, medium?: Medium) {
    this.#workshop = workshop;
    this.#meta = medium?.meta ?? new MemoryMeta();
    this.#dir = makeDirectory(workshop.definition.name, medium?.image);
  }

  steps(of?: readonly StepKind[]): number {
    return of === undefined ? this.plan.steps() : of.reduce((sum, kind) => sum + this.plan.steps(kind), 0);
  }

  arm(nth: number, fault: StepFault): () => number {
    return this.plan.failStep(nth, fault);
  }

  async open(): Promise<StorageEngine> {
    this.#first = await this.#open(faultyFileSystem(nodeFileSystem, this.plan));
    return this.#first.instance.engine;
  }

  heal(): void {
    this.plan.release();
  }

  async reopen(crash: boolean): Promise<StorageEngine> {
    if (crash) {
      await this.plan.cut();
      await this.#first?.unlock();
    }
    return (await this.#open(nodeFileSystem)).instance.engine;
  }

  async dispose(): Promise<void> {
    // an abandoned one only lets go of its threads and descriptors
    await Promise.all(this.#all.map((instance) => inTime('close', instance.close()).catch(() => {})));
    await rm(await this.#dir, { recursive: true, force: true });
  }

  async #open(fs: FileSystem): Promise<Opened> {
    const opened = await this.#workshop.open({ dir: await this.#dir, meta: this.#meta, fs });
    this.#all.push(opened.instance);
    return opened;
  }
}

/** The harness of an engine that talks to a service: all runs share it, one after the other. */
export class LinkPlace implements Place {
  readonly prefix: string;
  readonly #harness: EngineHarness;
  readonly #link: FlakyLink;
  readonly #before: number;

  constructor(harness: EngineHarness, link: FlakyLink, run: number) {
    this.prefix = `r${run}-`;
    this.#harness = harness;
    this.#link = link;
    this.#before = link.requests;
  }

  steps(): number {
    return this.#link.requests - this.#before;
  }

  arm(nth: number, { how, forMs, every }: StepFault): () => number {
    return this.#link.fail(nth, {
      how: ON_A_LINK[how],
      ...(forMs === undefined ? {} : { forMs }),
      ...(every === undefined ? {} : { every }),
    });
  }

  open(): Promise<StorageEngine> {
    return this.reopen(false);
  }

  heal(): void {
    this.#link.heal();
  }

  async reopen(crash: boolean): Promise<StorageEngine> {
    await this.#harness.reopen({ crash });
    return this.#harness.engine;
  }

  async dispose(): Promise<void> {
    this.heal();
  }
}

async function makeDirectory(name: string, image?: DiskImage): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), `robust-${name}-`));
  if (image !== undefined) await writeImage(image, dir);
  return dir;
}

type Opened = Awaited<ReturnType<Workshop['open']>>;

const ON_A_LINK: Readonly<Record<StepFault['how'], LinkFault['how']>> = {
  error: 'refuse',
  short: 'cut',
  forgotten: 'cut',
  lost: 'drop-reply',
  held: 'delay',
  late: 'delay',
};
