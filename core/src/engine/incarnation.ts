import type { EngineDefinition } from '../engine.ts';
import { StorageError } from '../errors.ts';
import type { Meta } from '../meta/port.ts';
import { rowCodec } from '../meta/row.ts';
import type { Random } from '../world.ts';

/** What Meta remembers of an engine instance: `instances/<name>`. */
interface InstanceRow {
  readonly use: string;
  readonly incarnation: string;
}

const ROW = rowCodec<InstanceRow>('I', 1, ({ use, incarnation }) => {
  if (typeof use !== 'string' || typeof incarnation !== 'string') throw new Error('use and incarnation are texts');
  return { use, incarnation };
});

/**
 * Compares the medium an instance found with the one Meta remembers under its name. Without that, an emptied disk would look like a
 * new one, and what was lost like what never was.
 * @throws INSTANCE_CHANGED, CORRUPT, FORMAT_TOO_NEW
 */
export async function confirmIncarnation(
  meta: Meta,
  instance: string,
  definition: Pick<EngineDefinition, 'name' | 'capabilities'>,
  incarnation: string,
  random: Random,
): Promise<void> {
  const key = `instances/${instance}`;
  const row: InstanceRow = { use: definition.name, incarnation };
  for (;;) {
    const entry = await meta.get(key);
    const known = entry === undefined ? undefined : ROW.decode(entry.value, key);
    if (known !== undefined && known.use === row.use && known.incarnation === incarnation) return;
    if (known !== undefined) refuseChange(instance, known, row, definition);
    const result = await meta.commit({
      id: random.uuid(),
      guards: [{ key, revision: entry?.revision ?? 0 }],
      puts: [{ key, value: ROW.encode(row) }],
    });
    // otherwise somebody wrote it meanwhile: judge again
    if (result.ok) return;
  }
}

function refuseChange(
  instance: string,
  known: InstanceRow,
  found: InstanceRow,
  { capabilities }: Pick<EngineDefinition, 'capabilities'>,
): void {
  if (known.use !== found.use)
    throw new StorageError('INSTANCE_CHANGED', `It was ${known.use}, the config now says ${found.use}`, {
      where: `engine instance ${instance}`,
      hint: `Give the new one a name of its own in the config, and move topics to it with \`topic alter --engine\``,
    });
  // what such an engine held went with its process: a new medium each time is its nature
  if (capabilities.durability === 'none') return;
  throw new StorageError(
    'INSTANCE_CHANGED',
    `The medium is not the one that holds its data (found ${found.incarnation}, known is ${known.incarnation})`,
    {
      where: `engine instance ${instance}`,
      hint: 'Mount the right disk or correct the directory; if the data is really gone, configure a new instance name, and give the old one up with `topic recover --accept-loss`',
    },
  );
}
