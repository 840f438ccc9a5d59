import { StorageError, type ToldError, toldError, verifyArchive } from '@robustmq/core';
import { formatUnit } from '@robustmq/core/config';
import { headline, STORE_FLAGS, withStore } from '../archive-store.ts';
import { Strays } from '../strays.ts';
import { table } from '../table.ts';
import { EXIT, type Verb } from '../verb.ts';

interface Wrong extends ToldError {
  readonly topic: string;
  readonly shard: number;
  readonly segment: string;
  readonly base: number;
  readonly end: number;
}

export const archiveVerify: Verb = {
  name: 'archive verify',
  summary:
    'Read every segment of an archive and hold it against the newest manifest; exit code 1 when something is wrong',
  flags: STORE_FLAGS,
  notes: [
    'Reads all bytes: on a store that is paid for, so is this. What no manifest lists is reported and left alone.',
  ],
  run: (call) =>
    withStore(call, archiveVerify, async (store) => {
      const checked = { segments: 0, bytes: 0 };
      const wrong: Wrong[] = [];
      const strays = new Strays();
      for await (const finding of verifyArchive(store.reader, store.manifest)) {
        if (call.io.signal.aborted) throw new StorageError('ABORTED', 'the check was interrupted');
        if (finding.kind === 'unlisted') {
          strays.add(finding.object);
          continue;
        }
        const { topic, shard, segment, error } = finding;
        checked.segments++;
        checked.bytes += segment.bytes;
        if (error === undefined) continue;
        const { id, base, end } = segment;
        wrong.push({ topic, shard, segment: id, base, end, ...toldError(error) });
      }
      if (call.flags.has('json'))
        call.io.out(
          `${JSON.stringify({ manifest: store.manifest.number, ...checked, wrong, unlisted: strays.summary() })}\n`,
        );
      else {
        call.io.out(`${headline(store)}\n${checked.segments} segments, ${formatUnit('bytes', checked.bytes)}: `);
        call.io.out(
          wrong.length === 0
            ? 'all are there and as the manifest says.\n'
            : `${wrong.length} of them can not be relied upon.\n`,
        );
        const rows = wrong.map(({ topic, shard, base, end, code, message }) => [
          topic,
          shard,
          base,
          end,
          code,
          message,
        ]);
        if (rows.length > 0) call.io.out(table(['TOPIC', 'SHARD', 'BASE', 'END', 'CODE', 'WHAT'], rows));
        call.io.out(strays.text());
        for (const line of advice(wrong)) call.io.error(line);
      }
      return wrong.length === 0 ? EXIT.ok : EXIT.failed;
    }),
};

/** What to do about it, each thing once. */
function advice(wrong: readonly Wrong[]): Set<string> {
  return new Set(wrong.map(({ code, hint }) => `${code}: ${hint ?? `robust-server explain ${code} says more`}\n`));
}
