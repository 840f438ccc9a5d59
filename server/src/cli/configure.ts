import { type Config, loadConfig } from '@robustmq/core/config';
import { FIRST_PARTY_BROKERS, FIRST_PARTY_ENGINES } from '../node/plugins.ts';
import type { Call } from './verb.ts';

/** The configuration that a command's flags and environment ask for. */
export function configure({ flags, io }: Call): Promise<Config> {
  return loadConfig({
    file: flags.get('config'),
    env: withoutOurOwn(io.env),
    sets: flags.all('set'),
    data: flags.get('data'),
    cwd: io.cwd,
    engines: FIRST_PARTY_ENGINES,
    brokers: FIRST_PARTY_BROKERS,
  });
}

/** These two are for the command line and no settings. */
function withoutOurOwn(env: Call['io']['env']): Call['io']['env'] {
  const { ROBUST_ADMIN_URL: _url, ROBUST_SERVER_COMMAND: _command, ...rest } = env;
  return rest;
}
