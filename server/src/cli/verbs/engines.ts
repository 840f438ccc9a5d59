import { loadEngine } from '@robustmq/core/config';
import { FIRST_PARTY_ENGINES } from '../../node/plugins.ts';
import { configure } from '../configure.ts';
import { table } from '../table.ts';
import { CONFIG_FLAGS, EXIT, JSON_FLAG, type Verb } from '../verb.ts';

interface Row {
  readonly engine: string;
  readonly version: string;
  readonly apiVersion: number;
  readonly source: string;
  readonly durability: string;
  readonly placement: string;
  readonly append: boolean;
  readonly maxBatchBytes: number;
  /** Instances of the config that use it. */
  readonly instances: readonly string[];
}

export const enginesLs: Verb = {
  name: 'engines ls',
  summary: 'List the storage engines at hand, what they claim, and which instances use them',
  flags: { ...CONFIG_FLAGS, json: JSON_FLAG },
  async run(call) {
    const config = await configure(call);
    const loaded = new Map<string, Row>();
    const add = (
      definition: (typeof config.engines)[number]['definition'],
      source: string,
      instance?: string,
    ): void => {
      const { name, version, apiVersion, capabilities } = definition;
      const before = loaded.get(name)?.instances ?? [];
      const instances = instance === undefined ? before : [...before, instance];
      loaded.set(name, { engine: name, version, apiVersion, source, ...capabilities, instances });
    };
    for (const { name, definition, source } of config.engines) add(definition, source, name);
    for (const use of FIRST_PARTY_ENGINES.keys())
      if (!loaded.has(use)) {
        const { definition, source } = await loadEngine(use, { from: call.io.cwd, table: FIRST_PARTY_ENGINES });
        add(definition, source);
      }
    const rows = [...loaded.values()];
    if (call.flags.has('json')) call.io.out(`${JSON.stringify(rows)}\n`);
    else
      call.io.out(
        table(
          ['ENGINE', 'VERSION', 'API', 'DURABILITY', 'PLACEMENT', 'APPEND', 'FROM', 'INSTANCES'],
          rows.map((row) => [
            row.engine,
            row.version,
            row.apiVersion,
            row.durability,
            row.placement,
            row.append ? 'yes' : 'ingest only',
            row.source,
            row.instances.join(', ') || '-',
          ]),
        ),
      );
    return EXIT.ok;
  },
};
