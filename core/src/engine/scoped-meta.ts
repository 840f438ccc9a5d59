import type { Meta, MetaCommitResult, MetaEntry, MetaEvent, MetaMutation } from '../meta/port.ts';

/** An engine instance's own part of Meta: what `EngineContext.meta` and `ArchiveReader.adopt` are given. */
export function metaOfInstance(meta: Meta, instance: string): Meta {
  return scopedMeta(meta, `engines/${instance}/`);
}

/** Meta as one plug-in sees it: every key lies behind `prefix`, and nothing else can be reached. */
function scopedMeta(meta: Meta, prefix: string): Meta {
  const inner = (key: string): string => prefix + key;
  const outer = (key: string): string => key.slice(prefix.length);
  const entry = (found: MetaEntry): MetaEntry => ({ ...found, key: outer(found.key) });
  const event = (found: MetaEvent): MetaEvent => ({ ...found, key: outer(found.key) });
  const mutation = (asked: MetaMutation): MetaMutation => ({
    id: asked.id,
    ...(asked.guards && { guards: asked.guards.map((guard) => ({ ...guard, key: inner(guard.key) })) }),
    ...(asked.puts && { puts: asked.puts.map((put) => ({ ...put, key: inner(put.key) })) }),
    ...(asked.deletes && { deletes: asked.deletes.map(inner) }),
  });
  const result = (given: MetaCommitResult): MetaCommitResult =>
    given.ok ? given : { ...given, key: outer(given.key) };

  return {
    async get(key) {
      const found = await meta.get(inner(key));
      return found && entry(found);
    },
    async list(options) {
      const page = await meta.list({
        ...options,
        prefix: inner(options.prefix),
        ...(options.after === undefined ? {} : { after: inner(options.after) }),
      });
      return { ...page, entries: page.entries.map(entry) };
    },
    commit: async (asked) => result(await meta.commit(mutation(asked))),
    commitEach: async (asked) => (await meta.commitEach(asked.map(mutation))).map(result),
    async *watch(options) {
      for await (const events of meta.watch({ ...options, prefix: inner(options.prefix) })) yield events.map(event);
    },
  };
}
