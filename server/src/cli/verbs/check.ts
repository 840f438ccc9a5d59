import { configure } from '../configure.ts';
import { CONFIG_FLAGS, EXIT, JSON_FLAG, type Verb } from '../verb.ts';

export const check: Verb = {
  name: 'check',
  summary: 'Check a configuration and load its plug-ins, without starting anything',
  flags: { ...CONFIG_FLAGS, json: JSON_FLAG },
  async run(call) {
    const { io, flags } = call;
    const config = await configure(call);
    for (const warning of config.warnings) io.error(`warning: ${warning}\n`);
    const engines = config.engines.map(({ name, use, source }) => ({ name, use, source }));
    const brokers = config.brokers.map(({ name, source }) => ({ name, source }));
    if (flags.has('json')) io.out(`${JSON.stringify({ ok: true, engines, brokers, warnings: config.warnings })}\n`);
    else
      io.out(
        `The configuration is right: ${engines.length} engine instances (${engines.map(({ name }) => name).join(', ')}), ` +
          `brokers ${brokers.map(({ name }) => name).join(', ') || 'none'}, ${config.policy.rules.length} topic rules.\n`,
      );
    return EXIT.ok;
  },
};
