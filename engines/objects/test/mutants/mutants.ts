import type { StoreKind } from '../model/model.ts';

/** One line of the engine broken, as systems elsewhere were. */
export interface ObjectMutant {
  readonly name: string;
  /** Who lost data, or money, by it. */
  readonly incident: string;
  /** It shows over a store of files. */
  readonly kind?: StoreKind;
  readonly changes: readonly { readonly file: string; readonly from: string; readonly to: string }[];
}

export const OBJECT_MUTANTS: readonly ObjectMutant[] = [
  {
    name: 'pointer before data',
    incident:
      "Tansu's S3 storage claims offsets in one object and puts the batch after that: a crash in between leaves a hole below the high watermark",
    changes: [
      {
        file: 'log/log-target.ts',
        from: 'await store.put(names.keyOf(object), [body]',
        to: 'void store.put(names.keyOf(object), [body]',
      },
    ],
  },
  {
    name: 'runs without the guard of their segment',
    incident:
      'a paused leader that wakes up after its successor has recovered: its uploads were on the way all the time',
    changes: [
      {
        file: 'log/log-writer.ts',
        from: 'guards: [{ key: segmentKey(writer.id), revision: writer.revision }, life.guard],',
        to: 'guards: [life.guard],',
      },
    ],
  },
  {
    name: 'recovery that finds the end before it fences',
    incident:
      'BookKeeper, issue 2614: a recovery read that does not fence lets a write through behind the end it found',
    changes: [
      {
        file: 'engine.ts',
        from: 'const fence = await this.#segments.replace(id, fenced, revision);',
        to: 'const fence: number | undefined = revision;',
      },
      {
        file: 'engine.ts',
        from: 'const sealed = await this.#segments.replace(id, { ...row, end, life: this.#environment.life.name }, revision);',
        to: 'const sealed = await this.#segments.replace(id, { ...row, end, life: this.#environment.life.name }, (await this.#segments.get(id)).revision);',
      },
    ],
  },
  {
    name: 'acknowledges when the object is there, before a row leads to it',
    incident: 'an object that nobody is told of is garbage, and a sweeper takes it',
    changes: [
      {
        file: 'log/log-writer.ts',
        from: '      const uids = await this.#point(object, strayed, runs);\n',
        to: '      for (const share of shares) for (const { resolve } of share.waiting) resolve();\n      const uids = await this.#point(object, strayed, runs);\n',
      },
    ],
  },
  {
    name: 'commits objects as they arrive',
    incident: 'uploads overtake each other: AutoMQ keeps the contiguous run only, and acknowledges in order',
    changes: [
      {
        file: 'log/log-writer.ts',
        from: 'this.#committing = this.#committing.then(() => this.#commit(shares, stored));',
        to: 'this.#committing = Promise.all([this.#committing, stored.then(() => {}, () => {}).then(() => this.#commit(shares, stored))]).then(() => {});',
      },
    ],
  },
  {
    name: 'goes on behind an object that could not be put',
    incident: 'a hole in the log that no reader gets past',
    changes: [
      { file: 'log/log-writer.ts', from: '.filter(({ share }) => share.writer.failure === undefined);', to: ';' },
      { file: 'segment/segments.ts', from: 'if (pointer.base !== next)', to: 'if (pointer.base < 0)' },
    ],
  },
  {
    name: 'forgets the uploads that it has begun',
    incident: 'parts of uploads that nobody ended: no listing shows them, and every bill does',
    changes: [
      {
        file: 'images.ts',
        from: "begun: (upload) => this.#plan(object, { kind: 'segment', state: 'planned', upload }),",
        to: "begun: () => this.#plan(object, { kind: 'segment', state: 'planned' }),",
      },
    ],
  },
  {
    name: 'deletes the object and leaves its upload',
    incident: 'the same, by a sweeper that knows of objects only',
    changes: [
      {
        file: 'sweeper.ts',
        from: "await store.abortUpload(names.keyOf(object), upload, { lane: 'upkeep' });",
        to: '',
      },
    ],
  },
  {
    name: 'trusts conditional puts',
    incident:
      'MinIO 21526, SeaweedFS 8800, VersityGW 2288: creates that are checked and then made, or not checked at all',
    changes: [
      {
        file: 'keys.ts',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: a line of source
        from: '`log/${life}-${short(uid)}/${',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: a line of source
        to: '`log/${life.length > 0 && uid.length > 0 ? 0 : 1}/${',
      },
      {
        file: 'store/steady.ts',
        from: 'const ifAbsent = this.#parts.isConditional();',
        to: 'const ifAbsent = key.length > 0;',
      },
    ],
  },
  {
    name: 'deletes what it put when the reply to the commit is lost',
    incident:
      'Inkless asks its control plane whether the file may go after a commit that failed: it may have been made',
    changes: [
      {
        file: 'meta/steady-meta.ts',
        from: 'results.push(...(await this.#again(() => this.#meta.commitEach(some))));',
        to: 'results.push(...(await this.#meta.commitEach(some)));',
      },
      {
        file: 'images.ts',
        from: '    const results = await meta.commitEach([',
        to: '    const results = await committing(objects, object, () => meta.commitEach([',
      },
      {
        file: 'images.ts',
        from: '    ]);\n    const committed = results.slice(1)',
        to: '    ]));\n    const committed = results.slice(1)',
      },
      {
        file: 'images.ts',
        from: 'async function* joined(',
        to: 'async function committing<T>(objects: Environment["objects"], object: string, run: () => Promise<T>): Promise<T> {\n  try {\n    return await run();\n  } catch (error) {\n    objects.stored(object, []);\n    throw error;\n  }\n}\n\nasync function* joined(',
      },
    ],
  },
  {
    name: 'sweeps while a commit is on its way',
    incident: 'SlateDB, RFC 29: a garbage collector that races a writer deletes what is about to be referenced',
    changes: [
      {
        file: 'sweeper.ts',
        from: "if (row.state === 'stored' && (row.life !== life.name || objects.isKnown(object)))",
        to: "if (row.state === 'stored' || row.state === 'planned')",
      },
      {
        file: 'sweeper.ts',
        from: 'if ((its !== life.name && alive.has(its)) || own.has(object)) continue;',
        to: 'if (its === "") continue;',
      },
      { file: 'sweeper.ts', from: 'if (now - this.#lookedAt >= LOOK_EVERY_MS) {', to: 'if (now >= this.#lookedAt) {' },
    ],
  },
  {
    name: 'drops the runs before the image counts',
    incident: 'AutoMQ 205: a write-ahead log that was trimmed past what had been made durable elsewhere',
    changes: [
      {
        file: 'compaction.ts',
        from: '    const { committed } = await this.#images.put({',
        to: '    await this.dropRuns(uid, pointers);\n    const { committed } = await this.#images.put({',
      },
      { file: 'compaction.ts', from: 'SHARE_AFTER_MS: number = 10 * 60 * 1000;', to: 'SHARE_AFTER_MS: number = 0;' },
    ],
  },
  {
    name: 'an image takes the place of whatever is there',
    incident: 'a compaction that was slow brings back what was deleted meanwhile, and undoes a fence',
    changes: [
      {
        file: 'images.ts',
        from: 'guards: [{ key, revision: request.revision }, life.guard],',
        to: 'guards: [life.guard],',
      },
      { file: 'compaction.ts', from: 'SHARE_AFTER_MS: number = 10 * 60 * 1000;', to: 'SHARE_AFTER_MS: number = 0;' },
    ],
  },
  {
    name: 'deletes the orphans of a life the moment it is over',
    incident: 'what a dead process had sent arrives after that, and stays',
    changes: [{ file: 'sweeper.ts', from: 'if (clock.wall() - row.fencedAt < this.#orphanGraceMs) continue;', to: '' }],
  },
  {
    name: 'a try that was answered late is forgotten',
    incident:
      'found in this engine by its own model: a put that was tried again arrived after the object had been deleted',
    changes: [
      {
        file: 'objects.ts',
        from: 'if (until === undefined) this.#garbage.add(object);',
        to: 'if (until !== -1) this.#garbage.add(object);',
      },
    ],
  },
  {
    name: 'a fenced process that tries for ever',
    incident: 'found in this engine by its own model',
    changes: [
      {
        file: 'segment/segments.ts',
        from: '    if (!result.ok && result.key === life.guard.key) throw fencedLife(life.name);\n',
        to: '',
      },
    ],
  },
  {
    name: 'settles what was not committed',
    incident: 'a timeout that was taken for a success',
    changes: [
      {
        file: 'log/log-writer.ts',
        from: 'if (failure !== undefined && !applied) failShare(share, failure);',
        to: 'if (failure !== undefined && !applied && share.bytes < 0) failShare(share, failure);',
      },
    ],
  },
  {
    name: 'reads half a list of runs as if it were all',
    incident:
      'found in this engine by its own model: a segment that moved into its image between two requests to Meta read as empty',
    changes: [
      {
        file: 'segment/segments.ts',
        from: 'if (gap === undefined && (row.end < 0 || row.end === next)) return pointers;',
        to: 'if (gap === undefined) return pointers;',
      },
    ],
  },
  {
    name: 'appends behind what it does not know the end of',
    kind: 'files',
    incident:
      'HDFS keeps what had arrived when a connection broke: an offset that is counted and not looked up is wrong from there on',
    changes: [
      { file: 'log/growing-file.ts', from: '      this.#roll();\n      throw error;', to: '      throw error;' },
    ],
  },
  {
    name: 'a full file can go before a row leads to what was appended last',
    kind: 'files',
    incident: 'an object that is new to nobody any more, and has no reference yet, looks like garbage',
    changes: [
      {
        file: 'objects.ts',
        from: 'return this.#growing.has(object) || this.#pins.has(object);',
        to: 'return this.#growing.has(object);',
      },
    ],
  },
  {
    name: 'a file that still grows goes when nothing in it is needed',
    kind: 'files',
    incident: 'the next append is acknowledged into a file that a sweeper has taken',
    changes: [
      {
        file: 'objects.ts',
        from: 'return this.#growing.has(object) || this.#pins.has(object);',
        to: 'return this.#pins.has(object);',
      },
    ],
  },
];
