import type { EngineContext } from '@robustmq/core';

/** What the service behind an instance is called: Meta knows it, so that every node finds the same one. */
export async function mediumName({ meta, random }: Pick<EngineContext, 'meta' | 'random'>): Promise<string> {
  for (;;) {
    const found = await meta.get('medium');
    if (found !== undefined) return Buffer.from(found.value).toString();
    const guards = [{ key: 'medium', revision: 0 }];
    await meta.commit({ id: random.uuid(), guards, puts: [{ key: 'medium', value: Buffer.from(random.uuid()) }] });
  }
}
