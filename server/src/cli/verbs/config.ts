import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { RobustError } from '@robustmq/core';
import { composeSchema, configLines, configValues } from '@robustmq/core/config';
import { stringify } from 'yaml';
import { configure } from '../configure.ts';
import { table } from '../table.ts';
import { CONFIG_FLAGS, EXIT, JSON_FLAG, type Verb } from '../verb.ts';

export const configPrint: Verb = {
  name: 'config print',
  summary: 'Print the configuration in force: defaults, file, environment and flags together',
  flags: { ...CONFIG_FLAGS, origin: { help: 'Say where each value came from' }, json: JSON_FLAG },
  async run(call) {
    const config = await configure(call);
    const lines = configLines(config);
    if (call.flags.has('json'))
      call.io.out(`${JSON.stringify(call.flags.has('origin') ? lines : configValues(config))}\n`);
    else if (call.flags.has('origin'))
      call.io.out(
        table(
          ['SETTING', 'VALUE', 'FROM'],
          lines.map(({ path, value, origin }) => [path, JSON.stringify(value), origin]),
        ),
      );
    else call.io.out(stringify(configValues(config)));
    return EXIT.ok;
  },
};

export const configSchema: Verb = {
  name: 'config schema',
  summary: 'Print the JSON Schema (draft-07) of the configuration, for editors, with the plug-ins in use',
  flags: { ...CONFIG_FLAGS },
  async run(call) {
    const config = await configure(call);
    const schema = composeSchema({
      engines: new Map(config.engines.map(({ use, definition }) => [use, definition.configSchema])),
      brokers: new Map(config.brokers.map(({ name, definition }) => [name, definition.configSchema])),
    });
    call.io.out(`${JSON.stringify(schema, null, 2)}\n`);
    return EXIT.ok;
  },
};

const EXAMPLE = `# yaml-language-server: $schema=./robust.schema.json
# (robust-server config schema > robust.schema.json gives your editor completion)
data: ./data
topics: # the first rule that matches a topic's name wins
  - { match: "fast.*", engine: memory }
  - { match: "orders.*", engine: local, shards: 4, retention: { ms: 30d } }
defaults: { engine: local, retention: { ms: 7d } }
brokers:
  mqtt: { port: 1883 }
  kafka: { port: 9092 }
admin: { port: 9644 }
`;

export const configInit: Verb = {
  name: 'config init',
  summary: 'Write a configuration file to start from',
  operands: '[FILE]',
  maxOperands: 1,
  flags: { stdout: { help: 'Print it instead of writing a file' } },
  notes: ['FILE is robust.yaml unless given. A file that is there already stays as it is.'],
  async run({ operands, flags, io }) {
    if (flags.has('stdout')) {
      io.out(EXAMPLE);
      return EXIT.ok;
    }
    const name = operands[0] ?? 'robust.yaml';
    try {
      await using handle = await open(resolve(io.cwd, name), 'wx');
      await handle.writeFile(EXAMPLE);
    } catch (error) {
      const exists = (error as NodeJS.ErrnoException).code === 'EEXIST';
      const reason = exists ? 'it is there already' : String(error);
      throw new RobustError('FILE_NOT_WRITTEN', `${name} was not written: ${reason}`, {
        hint: exists ? 'Name another file, or print it with --stdout' : 'Name another file',
        cause: error,
      });
    }
    io.out(`Wrote ${name}. Start with: robust-server start -c ${name}\n`);
    return EXIT.ok;
  },
};
