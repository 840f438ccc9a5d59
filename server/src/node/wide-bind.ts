import type { Listener } from '@robustmq/core';
import { isLoopback } from '../admin/errors.ts';

/** One warning for each listener that more than this machine can reach, as long as nobody has to say who they are. */
export function wideBindWarnings(listeners: readonly Listener[]): string[] {
  return listeners
    .filter(({ host }) => !isLoopback(host))
    .map(
      ({ protocol, host, port, setting }) =>
        `${protocol} listens on ${host}:${port} and there is NO AUTHENTICATION yet: whoever reaches this address may read, write and delete everything. Set ${setting.replace(/port$/, 'host')} to 127.0.0.1, or keep strangers out with a firewall`,
    );
}
