import type { EngineHealth, Listener, Storage, StorageStatus } from '@robustmq/core';
import type { LevelMeta } from '@robustmq/meta';

export type Phase = 'starting' | 'running' | 'draining' | 'failed';

export interface NodeStatus {
  readonly ready: boolean;
  readonly phase: Phase;
  readonly version: string;
  readonly pid: number;
  readonly nodeId: number;
  readonly clusterId: string | undefined;
  readonly data: string;
  readonly uptimeMs: number;
  readonly listeners: readonly Listener[];
  readonly engines: StorageStatus['engines'];
  readonly loops: StorageStatus['loops'];
  /** What is wrong, for a person; empty when all is well. */
  readonly problems: readonly Problem[];
}

export interface Problem {
  readonly code: string;
  readonly where: string;
  readonly detail: string;
}

/** As people read it, wherever it is told. */
export function problemText({ code, where, detail }: Problem): string {
  return `${code} ${where}: ${detail}`;
}

/** What `/readyz` tells, put together from those who know. */
export class Readiness {
  phase: Phase = 'starting';
  /** What the start is at. */
  step = 'the node';
  storage: Storage | undefined;
  meta: Pick<LevelMeta, 'health'> | undefined;
  #failure: Problem | undefined;

  /** For good: something happened that nothing here can heal. */
  fail(detail: string): void {
    this.phase = 'failed';
    this.#failure ??= { code: 'NODE_FAILED', where: 'process', detail };
  }

  get(): {
    ready: boolean;
    problems: readonly Problem[];
    engines: StorageStatus['engines'];
    loops: StorageStatus['loops'];
  } {
    const storage = this.storage?.status();
    const problems: Problem[] = [];
    if (this.#failure !== undefined) problems.push(this.#failure);
    if (this.phase === 'starting')
      problems.push({ code: 'NODE_STARTING', where: 'node', detail: `the node is starting: opening ${this.step}` });
    if (this.phase === 'draining')
      problems.push({ code: 'NODE_DRAINING', where: 'node', detail: 'the node is stopping: use another one' });
    const meta = this.meta?.health();
    if (meta?.status === 'failed') problems.push({ code: 'META_UNAVAILABLE', where: 'meta', detail: meta.detail });
    const engines = storage?.engines ?? [];
    const full = new Set(engines.filter(({ health }) => health.status === 'full').map(({ instance }) => instance));
    for (const problem of storage?.problems ?? [])
      problems.push(full.has(problem.where) ? { ...problem, code: 'DISK_FULL' } : problem);
    for (const { instance, health } of engines)
      if (isBad(health) && !problems.some((problem) => problem.where.includes(instance)))
        problems.push({
          code: health.status === 'full' ? 'DISK_FULL' : 'ENGINE_UNHEALTHY',
          where: instance,
          detail: health.detail,
        });
    const ready = this.phase === 'running' && problems.length === 0 && (storage?.ready ?? false);
    return { ready, problems, engines, loops: storage?.loops ?? [] };
  }
}

function isBad(health: EngineHealth): boolean {
  return health.status === 'full' || health.status === 'failed';
}
